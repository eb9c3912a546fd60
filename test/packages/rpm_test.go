package packages

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebbtide/ebbtide/test/lab"
)

// rpm's words of the architectures.
var rpmArch = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

func rpmOf(t *testing.T, version, arch string) string {
	t.Helper()
	return filepath.Join(build(t, version), "ebbtide-"+version+"-1."+rpmArch[arch]+".rpm")
}

// The root is Debian's: rpm takes the package there, but what it needs is Debian's own.
func TestAnRPMIsInstalledUpgradedAndRemoved(t *testing.T) {
	l := lab.Must(t, lab.Options{Backends: []string{"blue1"}})
	m := mustBoot(t, l.LB, l.ID)
	for arch := range rpmArch {
		file := m.shareFile(t, rpmOf(t, first, arch))
		if got := m.must(t, "rpm --query --package --queryformat '%{ARCH} %{VERSION}' "+file); got != rpmArch[arch]+" "+first {
			t.Errorf("the package for %s is of %s", arch, got)
		}
		if got := m.must(t, "rpm --query --package --configfiles "+file); got != "/etc/ebbtide/ebbtide.example.yaml\n" {
			t.Errorf("the package for %s has the configuration files %s", arch, got)
		}
	}
	said := m.must(t, "rpm --install --nodeps "+m.shareFile(t, rpmOf(t, first, "amd64")))
	if !strings.Contains(said, "systemctl enable --now ebbtide") {
		t.Errorf("installing says not what comes next:\n%s", said)
	}
	m.must(t, "getent passwd ebbtide && ebbtide version && systemctl cat ebbtide.service && rpm --verify --nodeps ebbtide")
	said = m.must(t, "rpm --upgrade --nodeps "+m.shareFile(t, rpmOf(t, second, "amd64")))
	if strings.Contains(said, "Next") {
		t.Errorf("an upgrade says what a first installation does:\n%s", said)
	}
	m.must(t, "test -x /usr/bin/ebbtide && test $(rpm --query --queryformat '%{VERSION}' ebbtide) = "+second)
	m.must(t, "rpm --erase ebbtide && ! test -e /usr/bin/ebbtide")
}
