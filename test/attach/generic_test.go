package attach

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/test/lab"
)

var (
	generic   = file{top: "xdp: generic"}
	metricsAt = netip.MustParseAddrPort("127.0.0.1:9595")
)

func TestGenericModeWorksWhenAskedForAndIsShown(t *testing.T) {
	t.Parallel()
	for _, set := range []lab.Options{
		{Forwarding: lab.DSR, Arms: lab.OneArm}, {Forwarding: lab.NAT, Arms: lab.TwoArms},
	} {
		t.Run(fmt.Sprint(set.Forwarding, " ", set.Arms), func(t *testing.T) {
			t.Parallel()
			s := mustSet(t, setting{lab: set, file: generic})
			s.host.Options().Metrics = metricsAt.String()
			s.start(t)
			s.host.AwaitHops(t)
			for _, name := range s.lab.Interfaces() {
				s.mustBeIn(t, name, api.ModeGeneric)
				if line := fmt.Sprintf(`ebbtide_interface_generic{interface=%q} 1`, name); !s.metrics(t)[line] {
					t.Errorf("the metrics do not say %s", line)
				}
			}
			s.mustPlayAFlip(t)
		})
	}
}

func TestADeviceWithoutNativeXDPIsRefusedAndNotServedInGenericModeInstead(t *testing.T) {
	t.Parallel()
	s := mustSet(t, setting{file: file{interfaces: "[eth0, br1]"}})
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br1"
	if err := s.lab.LB.Netlink().LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		t.Fatal(err)
	}
	s.mustNotStart(t, "attach to br1: its driver has no native XDP", "`xdp: generic`")
	s.mustRun(t, "br1", 0)
	s.mustRun(t, "eth0", 0)
	s.mustHaveLeftNothing(t)
	// What the message says helps.
	s.configure(t, file{interfaces: "[eth0, br1]", top: generic.top})
	s.start(t)
	s.mustBeIn(t, "br1", api.ModeGeneric)
	if err := s.host.Client.Detach(t.Context(), api.DetachRequest{}); err != nil {
		t.Error(err)
	}
}

func TestAnotherModeInTheFileIsAProblemUntilTheInterfaceIsAttachedAnew(t *testing.T) {
	t.Parallel()
	s := mustStage(t, setting{lab: lab.Options{Arms: lab.TwoArms}})
	s.mustBeIn(t, "eth0", api.ModeNative)
	s.reload(t, generic)
	for _, name := range s.lab.Interfaces() {
		if i := s.iface(t, name); i.Mode != api.ModeNative || !strings.Contains(i.Problem, "the file says generic") {
			t.Errorf("after a reload: %+v, want it native still, and the problem named", i)
		}
	}
	s.reload(t, file{interfaces: "[eth0]", top: generic.top})
	s.reload(t, generic)
	s.mustBeIn(t, "eth1", api.ModeGeneric)
	s.reload(t, file{})
	if i := s.iface(t, "eth1"); !strings.Contains(i.Problem, "the file says native") {
		t.Errorf("after a reload: %+v, want the problem named", i)
	}
	s.mustBeIn(t, "eth0", api.ModeNative)
}

// mustBeIn checks the mode that status has for an interface, and that it has no problem with it.
func (s *stage) mustBeIn(t *testing.T, name, mode string) {
	t.Helper()
	if i := s.iface(t, name); !i.Attached || i.Mode != mode || i.Problem != "" {
		t.Errorf("%s: %+v, want it in %s mode", name, i, mode)
	}
}

// metrics are the lines that the daemon serves.
func (s *stage) metrics(t *testing.T) map[string]bool {
	t.Helper()
	conn, err := s.lab.LB.Dial(t.Context(), "tcp", metricsAt)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%s/metrics", metricsAt), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := map[string]bool{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		out[lines.Text()] = true
	}
	return out
}
