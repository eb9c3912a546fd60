package privilege

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestASetHasWhatItIsMadeOf(t *testing.T) {
	s := Of(unix.CAP_NET_ADMIN, unix.CAP_BPF)
	if s != 1<<12|1<<39 || !s.Has(Of(unix.CAP_BPF)) || s.Has(Of(unix.CAP_BPF, unix.CAP_SYS_ADMIN)) || !s.Has(0) {
		t.Errorf("got %#x", s)
	}
}

func TestWhatTheProcessMayDoIsRead(t *testing.T) {
	have, err := get()
	if err != nil || !have.permitted.Has(have.effective) {
		t.Errorf("%+v, %v", have, err)
	}
}
