// SPDX-License-Identifier: Apache-2.0

package awsconfig

import "slices"

// ReadBytesAsSDKs is ReadAsSDKs for what the files are to hold.
func ReadBytesAsSDKs(files Files, config, credentials []byte) *Readings {
	return readAll(files, contents{config, credentials})
}

// Strays returns what those SDKs make of a profile that do not ask broker for
// it: none, once it is wired, unless a line means something else to them.
func (r *Readings) Strays(profile string) []Reading {
	return slices.DeleteFunc(r.Of(profile), func(got Reading) bool {
		return got.Source == SourceBroker && got.Profile == profile
	})
}

// Lured returns the profiles that an SDK would ask broker for in the name of
// another one, because it takes a line for a part of that other profile's
// section. Each is with what the SDK makes of the other.
func (r *Readings) Lured() map[string]Reading {
	lured := map[string]Reading{}
	for i, v := range r.views {
		for name, p := range v.profiles {
			command := p.Get(processKey)
			if asked := askedFor(command); asked != "" && asked != name {
				got := processOf(p)
				got.SDK = r.sdks[i].name
				lured[asked] = got
			}
		}
	}
	return lured
}

// askedFor returns the profile that a credential_process asks broker for, "" if
// it is not broker's.
func askedFor(process string) string {
	_, asked, _ := HelperCommand(process)
	return asked
}
