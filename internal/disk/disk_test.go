package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatCantBeWrittenSaysWhatToDo(t *testing.T) {
	for _, row := range []struct {
		err  error
		says string
	}{
		{io.ErrShortWrite, "save: short write"},
		{&os.PathError{Op: "open", Path: "/x/y", Err: unix.EROFS}, "save: open /x/y: read-only file system: mount that file system writable again, then it goes on by itself; dmesg may say why it is not"},
		{errors.Join(&os.PathError{Op: "write", Path: "/x", Err: unix.ENOSPC}), "save: write /x: no space left on device: make room on that file system, then it goes on by itself"},
	} {
		got := fmt.Errorf("save: %w", Fault(row.err))
		if got.Error() != row.says || !errors.Is(got, row.err) || !Is(got) {
			t.Errorf("got %q, want %q", got, row.says)
		}
	}
	if Fault(nil) != nil || Is(nil) || Is(unix.ENOSPC) {
		t.Error("what is no fault is one")
	}
}
