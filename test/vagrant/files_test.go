package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/internal/config"
)

var machine = regexp.MustCompile(`"(\w+)" => "([0-9.]+)"`)

// The machines come up for real in `make vagrant-test`. This is what can be seen without: that the Vagrantfile, the load balancer's
// configuration, the page and the players speak of one world.
func TestTheFilesSpeakOfOneWorld(t *testing.T) {
	c, err := config.Load("../../packaging/vagrant/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	world := c.Services[0]
	configured := map[string]bool{}
	for colour, pool := range world.Pools {
		for _, b := range pool.Backends {
			configured[fmt.Sprint(colour, " ", b.Addr4())] = true
		}
	}
	page, file := mustRead(t, "../../docs/vagrant.md"), mustRead(t, "../../Vagrantfile")
	if vip := world.Listeners[0].VIP.String(); !strings.Contains(file, `VIP = "`+vip+`"`) || !strings.Contains(page, "the VIP "+vip) {
		t.Errorf("the VIP %s of the configuration is not that of the Vagrantfile and the page", vip)
	}
	found := machine.FindAllStringSubmatch(file, -1)
	if len(found) != 6 {
		t.Errorf("%d machines in the Vagrantfile, want 6", len(found))
	}
	for _, m := range found {
		name, address := m[1], m[2]
		if !strings.Contains(page, "`"+name+"`") || !strings.Contains(page, address) {
			t.Errorf("the page has not %s at %s", name, address)
		}
		if name == "lb" || name == "client" {
			continue
		}
		if at := strings.TrimRight(name, "0123456789") + " " + address; !configured[at] {
			t.Errorf("the configuration has no backend %s: %v", at, configured)
		}
		if told := address + ":7778"; !strings.Contains(backends, told) || !strings.Contains(page, told) {
			t.Errorf("the players of the test or of the page do not ask %s", told)
		}
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
