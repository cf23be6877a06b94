// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"encoding/json"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// operations are all operations with what they answer.
func operations() map[string]any {
	return map[string]any{
		ipc.OpHello: ipc.Hello{}, ipc.OpMFA: ipc.MFAResult{}, ipc.OpStatus: ipc.Status{}, ipc.OpList: ipc.KeyList{},
		ipc.OpServes: ipc.Serves{}, ipc.OpReserve: ipc.Reservation{}, ipc.OpAdopt: ipc.Key{}, ipc.OpRemove: ipc.Key{},
		ipc.OpRestore: ipc.KeyList{}, ipc.OpExplain: ipc.Explanation{}, ipc.OpLock: ipc.LockResult{}, ipc.OpCreate: ipc.Rotation{}, ipc.OpUsage: ipc.Usage{}, ipc.OpRotate: ipc.Rotation{}, ipc.OpRevoke: ipc.Revoked{}, ipc.OpHolding: ipc.Holding{}, ipc.OpNag: ipc.Notices{}, ipc.OpSnooze: ipc.Key{}, ipc.OpCredentials: nil, // the document: temporary credentials
	}
}

// TestP18NoAnswerHasAPlaceForASecret: no type that an operation answers with,
// nor one that it reads, holds a secret or a field that is named like one.
func TestP18NoAnswerHasAPlaceForASecret(t *testing.T) {
	types := []any{ipc.CredentialsParams{}, ipc.MFAParams{}, ipc.ReserveParams{}, ipc.AdoptParams{}, ipc.RemoveParams{}, ipc.RestoreParams{}, ipc.ExplainParams{}, ipc.LockParams{}, ipc.RotateParams{}, ipc.RevokeParams{}, ipc.RotationPlan{}, ipc.UsageParams{}, ipc.CreateParams{}, ipc.HoldingParams{}, ipc.SnoozeParams{}, ipc.HoldingEvent{}, state{}}
	for _, v := range operations() {
		if v != nil {
			types = append(types, v)
		}
	}
	for _, v := range types {
		if where := secretIn(reflect.TypeOf(v), map[reflect.Type]bool{}); where != "" {
			t.Errorf("%T has a place for a secret: %s", v, where)
		}
	}
	if secretIn(reflect.TypeFor[ipc.PutParams](), map[reflect.Type]bool{}) == "" {
		t.Error("the search does not find the secret of PutParams")
	}
}

func secretIn(t reflect.Type, seen map[reflect.Type]bool) string {
	if t == reflect.TypeFor[secret.String]() {
		return "a secret.String"
	}
	if seen[t] {
		return ""
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return secretIn(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if name := strings.ToLower(f.Name); strings.Contains(name, "secret") || strings.Contains(name, "token") {
				return f.Name
			}
			if where := secretIn(f.Type, seen); where != "" {
				return f.Name + ": " + where
			}
		}
	}
	return ""
}

// FuzzP18Operations calls every operation with any parameters. Nothing panics,
// every failure has a code, and the secret that lies in the user's AWS files
// is in no answer.
func FuzzP18Operations(f *testing.F) {
	const canary = "cAnArYcAnArYcAnArYcAnArYcAnArYcAnArY1234"
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"profile":"dev"}`, `{"profile":"plain"}`, `{"profile":7}`, `{"profile":"a\nb"}`,
		`{"code":"123456"}`, `{"cancel":true}`, `{"profile":"dev","accessKeyId":"` + annKey + `","item":"` + item(3) + `"}`,
		`{"keys":[{"profile":"x","accessKeyId":"` + annKey + `","item":"` + item(3) + `"}]}`, `{"keys":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, params []byte) {
		synctest.Test(t, func(t *testing.T) {
			r := free(t)
			defer func() { r.tasks.close() }()
			r.write("aws/credentials", "[plain]\naws_access_key_id = AKIAPLAINPLAINPLAIN1\naws_secret_access_key = "+canary+"\n")
			for op := range operations() {
				run, ok := r.operation(op)
				if !ok {
					t.Fatalf("there is no op %s", op)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				result, err := r.serve(ctx, run, ipc.Request{Op: op}, &talk{params: params, events: make(chan any, 1<<10), gone: ctx.Done(), killed: make(chan struct{})})
				cancel()
				if err != nil && (coded(err).Code == "" || coded(err).Code == ipc.CodeInternal) {
					t.Errorf("%s %q: %v", op, params, err)
				}
				if err != nil && strings.Contains(err.Error(), canary) || strings.Contains(string(result), canary) {
					t.Errorf("%s %q shows the secret: %s %v", op, params, result, err)
				}
			}
			if strings.Contains(r.log.String(), canary) {
				t.Error("the log shows the secret")
			}
		})
	})
}

// TestConverse speaks the protocol over a connection.
func TestConverse(t *testing.T) {
	bubble(t, free, func(t *testing.T, r *rig) {
		ask := func(request string) map[string]json.RawMessage {
			t.Helper()
			client, server := net.Pipe()
			go ipc.ServeConn(t.Context(), server, ipc.Peer{}, r.Converse)
			if _, err := client.Write([]byte(request + "\n")); err != nil {
				t.Fatal(err)
			}
			var reply map[string]json.RawMessage
			if err := json.NewDecoder(client).Decode(&reply); err != nil {
				t.Fatal(err)
			}
			_ = client.Close()
			return reply
		}
		if got := ask(`{"v":1,"op":"hello"}`); !strings.Contains(string(got["result"]), "1.2.3") {
			t.Errorf("hello: %s", got)
		}
		if got := ask(`{"v":1,"op":"make-coffee"}`); !strings.Contains(string(got["error"]), `"protocol"`) {
			t.Errorf("unknown op: %s", got)
		}
		got := ask(`{"v":1,"op":"credentials","params":{"profile":"dev"}}`)
		if !strings.HasPrefix(string(got["result"]), `{"Version":1,"AccessKeyId":"ASIA`) {
			t.Errorf("credentials: %s", got)
		}
		if got := ask(`{"v":1,"op":"credentials","params":{"profile":"nobody"}}`); !strings.Contains(string(got["error"]), `"no_profile"`) {
			t.Errorf("error: %s", got)
		}
	})
}

func TestServes(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		r.add("keyonly", bobKey, details())
		r.write("aws/config", chainConfig("")+"[profile sso]\nsso_start_url = https://x\nsso_region = us-east-1\n[profile plain]\naws_access_key_id = AKIAX\n")
		got := do[ipc.Serves](r, ipc.OpServes, nil)
		if want := []string{"dev", "keyonly", "one", "three", "two"}; !slices.Equal(got.Profiles, want) {
			t.Errorf("profiles %v, want %v", got.Profiles, want)
		}
		if got.OverlayDir != r.path("overlay") || got.AWSConfigFile != r.path("aws/config") || got.AWSCredentialsFile != r.path("aws/credentials") {
			t.Errorf("%+v", got)
		}
	})
}

// TestStatusIsWhole: empty lists are lists, and the fields are filled.
func TestStatusIsWhole(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		c := r.start(ipc.OpStatus, nil, "")
		<-c.done
		for _, want := range []string{
			`"problems":[]`, `"pending":[]`, `"sessions":[]`, `"keys":[]`, `"backend":"file"`, `"prompts":0`,
			`"configFile":"` + r.path("config") + `"`, `"stateFile":"` + r.path("state/state.json") + `"`,
			`"awsConfigFile":"` + r.path("aws/config") + `"`, `"pid":42`, `"protocol":1`,
		} {
			if !strings.Contains(string(c.result), want) {
				t.Errorf("status lacks %s: %s", want, c.result)
			}
		}
	})
}

func TestNewChecksItsOptions(t *testing.T) {
	r := newRig(t)
	for name, change := range map[string]func(*Options){
		"no worker":     func(o *Options) { o.Worker = nil },
		"no clock":      func(o *Options) { o.Clock = nil },
		"no host":       func(o *Options) { o.Hostname = "" },
		"relative path": func(o *Options) { o.Places.StateFile = "state.json" },
	} {
		o := r.opts
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
