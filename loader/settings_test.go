package loader

import (
	"net/netip"
	"testing"

	"github.com/ebbtide/ebbtide/bpf/bpftest"
	"github.com/ebbtide/ebbtide/maps"
)

// Nobody writes them again: between an upgrade's links the new program meets packets already.
func TestAnUpgradeKeepsWhatTheProgramWasTold(t *testing.T) {
	mustNS(t)
	opt := options(mustBPFFS(t))
	p := mustOpen(t, opt)
	mustAttach(t, p, "a")
	kinds := maps.EveryLimited()
	for i, kind := range kinds {
		if got := p.Tables.Limit(kind); got != p.Ticks.Rate(AnswersEachCPU) {
			t.Errorf("limit of kind %d in a new data plane: %d", kind, got)
		}
		p.Tables.SetLimit(kind, uint32(11+i))
	}
	p.Tables.SetEcho(false)
	sources := [2]netip.Prefix{netip.MustParsePrefix("10.250.0.0/16"), netip.MustParsePrefix("fd00:eb::/96")}
	for _, source := range sources {
		p.Tables.SetOuterSource(source)
	}
	ifaces := p.Tables.Ifaces()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	opt.Spec = mustSpec(t, bpftest.LoadProgram)
	p = mustOpen(t, opt)
	defer p.Close()
	if err := p.Upgrade(20000, nil); err != nil {
		t.Fatal(err)
	}
	for i, kind := range kinds {
		if got := p.Tables.Limit(kind); got != uint32(11+i) {
			t.Errorf("limit of kind %d: %d, want %d", kind, got, 11+i)
		}
	}
	if p.Tables.Echo() {
		t.Error("echo is answered again")
	}
	for f, want := range sources {
		if got := p.Tables.OuterSource(maps.Family(f)); got != want {
			t.Errorf("outer source %s, want %s", got, want)
		}
	}
	for index, want := range ifaces {
		if got := p.Tables.Ifaces()[index]; got != want {
			t.Errorf("interface %d: %+v, want %+v", index, got, want)
		}
	}
	if err := Detach(opt.Dir); err != nil {
		t.Error(err)
	}
}
