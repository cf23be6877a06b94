// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
)

// maxNamed is how many profiles a suggested command names one by one.
const maxNamed = 8

// checkWire makes sure, before a secret is read, that import could wire at all.
func (r *importing) checkWire() error {
	if !r.o.wire {
		return nil
	}
	_, err := r.a.newWireEdit(nil, nil)
	return err
}

// askToWire asks whether the profiles are to be wired, too, before their keys go
// from the files: in between, SDKs find no credentials for them.
func (r *importing) askToWire(ctx context.Context) error {
	if r.o.wire || r.o.json || len(r.profiles()) == 0 || !canAsk() {
		return nil
	}
	yes, err := r.a.confirm(ctx, "Their keys go from the source. Wire the profiles in "+r.config.Files().Config+" too, so that SDKs get credentials from broker?")
	if err != nil || !yes {
		return err
	}
	r.o.wire = true
	return r.checkWire()
}

// wire sends every profile that lives on a key of this import to broker. One
// that cannot be wired does not keep the others from it.
func (r *importing) wire(ctx context.Context) error {
	names := r.planned()
	if !r.o.wire || len(names) == 0 {
		return nil
	}
	e, err := r.a.newWireEdit(names, nil)
	if err != nil {
		return err
	}
	e.named = false
	result, err := e.result(ctx, false)
	r.nameDropped(result.Profiles)
	r.report.Wire = &result
	if !r.o.json {
		r.a.printWired(e, result, false)
	}
	return err
}

// nameDropped says of profiles whose own key has just gone from the files that
// they had one: wire saw them without.
func (r *importing) nameDropped(profiles []wiredProfile) {
	for i := range profiles {
		p := &profiles[i]
		k := slices.IndexFunc(r.report.Deleted, func(d droppedKey) bool { return d.Profile == p.Profile && d.Why == "" })
		if k >= 0 && p.Was == noSource {
			p.Was = "key " + r.report.Deleted[k].AccessKeyID + ", removed just now"
		}
	}
}

// planned returns the profiles that live on keys of this import.
func (r *importing) planned() []string {
	var names []string
	for _, p := range r.report.Plans {
		names = append(names, p.Profile)
	}
	return names
}

// unwiredNames returns those of them that SDKs do not get from broker.
func (r *importing) unwiredNames() []string {
	config, err := r.a.AWSConfig()
	if err != nil {
		return r.planned()
	}
	var names []string
	for _, name := range r.planned() {
		if _, ours := config.Helper(name); !ours && awsconfig.ValidProfileName(name) == nil {
			names = append(names, name)
		}
	}
	return names
}

// next returns the command that goes on from here.
func (r *importing) next() string {
	stored, unwired := r.profiles(), r.unwiredNames()
	switch {
	case len(stored) == 0:
		return ""
	case r.o.dryRun:
		return r.o.line()
	case len(unwired) == 0:
		return "aws sts get-caller-identity --profile " + stored[0]
	case r.kind.shadows && !r.o.deleteSource:
		return r.o.again(strings.Join(r.o.profiles, " ")) + " --delete-source --wire"
	case len(unwired) > maxNamed:
		return "broker wire --all"
	}
	return "broker wire " + strings.Join(unwired, " ")
}
