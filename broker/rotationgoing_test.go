// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

// pausing is a Worker, and an STS, that stops in one call, once, until it may go
// on. With before it stops where the last thing is asked before that call.
type pausing struct {
	*fakeAWS
	at      string
	before  bool
	reached chan struct{}
	may     chan struct{}

	mu    sync.Mutex
	armed bool
}

func (p *pausing) pause(at string) {
	p.mu.Lock()
	stop := p.armed && p.at != "" && (p.before && at == "Reach" || !p.before && at == p.at)
	p.armed = p.armed && !stop
	p.mu.Unlock()
	if stop {
		close(p.reached)
		<-p.may
	}
}

func (p *pausing) ListKeys(ctx context.Context, q ipc.IAMParams) (ipc.KeyStates, error) {
	p.mu.Lock()
	p.armed = true // the next call is it
	p.mu.Unlock()
	return p.fakeAWS.ListKeys(ctx, q)
}

func (p *pausing) Reach(ctx context.Context, to ipc.AWS) (time.Duration, error) {
	p.pause("Reach")
	return p.fakeAWS.Reach(ctx, to)
}

func (p *pausing) SetKeyStatus(ctx context.Context, q ipc.KeyStatusParams) error {
	p.pause("SetKeyStatus")
	return p.fakeAWS.SetKeyStatus(ctx, q)
}

func (p *pausing) DeleteKey(ctx context.Context, q ipc.TargetParams) error {
	p.pause("DeleteKey")
	return p.fakeAWS.DeleteKey(ctx, q)
}

// TestNoProfileGetsAKeyThatIsGoing: an index that is rebuilt in the instant in
// which the old key is taken out of use gives it to nobody while the call is
// open; just before that it does, and the call is not made.
func TestNoProfileGetsAKeyThatIsGoing(t *testing.T) {
	for _, at := range []string{"SetKeyStatus", "DeleteKey"} {
		for _, before := range []bool{false, true} {
			bubble(t, agedWithoutMFA, func(t *testing.T, r *rig) {
				p := &pausing{fakeAWS: r.aws, at: at, before: before, reached: make(chan struct{}), may: make(chan struct{})}
				hold := at == "SetKeyStatus"
				rot, err := r.rotate(ipc.RotateParams{Profile: "dev", Hold: hold})
				if err != nil {
					t.Fatal(err)
				}
				j := r.rotating(annKey).state()
				r.opts.Worker, r.opts.STS = p, p
				r.restart()
				r.TakeUp(t.Context())
				synctest.Wait()
				p.mu.Lock()
				p.armed = false
				p.mu.Unlock()
				if hold {
					r.start(ipc.OpRotate, ipc.RotateParams{Profile: "dev", Resume: true}, ipc.AskNowhere)
				}
				<-p.reached // a day later, for the deletion

				whose := ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", NoMFA: true}
				twin := ipc.AdoptParams{Profile: "twin", Item: "broker.v1." + strings.Repeat("a", 32), AccessKeyID: annKey, KeyDetails: whose}
				restored := r.start(ipc.OpRestore, ipc.RestoreParams{Keys: []ipc.AdoptParams{
					{Profile: "dev", Item: j.Places[0].NewItem, AccessKeyID: rot.New, KeyDetails: whose}, twin,
				}}, ipc.AskNowhere)
				<-restored.done
				if before && restored.err != nil {
					t.Errorf("before %s: %v", at, restored.err)
				}
				if !before {
					wantCode(t, "recover during "+at, restored.err, ipc.CodeBusy)
					r.rotations.mu.Lock()
					delete(r.rotations.all, j.ID) // which would refuse it anyway
					r.rotations.mu.Unlock()
					wantCode(t, "add during "+at, refused(r, ipc.OpAdopt, twin), ipc.CodeBusy)
				}
				close(p.may)
				time.Sleep(time.Second)
				synctest.Wait()
				if calls := r.aws.calls(at); (calls == 0) != before {
					t.Errorf("before: %v, and %s was called %d times", before, at, calls)
				}
				if before && !r.aws.active(annKey) && at == "SetKeyStatus" {
					t.Errorf("IAM has %+v", r.aws.iamKeys())
				}
				if len(r.rotations.going) != 0 {
					t.Errorf("going: %v", r.rotations.going)
				}
			})
		}
	}
}
