// Package health asks backends whether they are well.
package health

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/plain"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// Check asks the backend at an address once, and gives why it is not well. It takes no longer than the check's timeout.
func Check(ctx context.Context, h config.Health, addr netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	return plain.Error(check(ctx, h, addr))
}

func check(ctx context.Context, h config.Health, addr netip.Addr) error {
	switch {
	case h.HTTP != nil:
		return checkHTTP(ctx, *h.HTTP, addr)
	case h.GRPC != nil:
		return checkGRPC(ctx, *h.GRPC, addr)
	case h.UDP != nil:
		return checkUDP(ctx, *h.UDP, addr)
	case len(h.Exec) > 0:
		return checkExec(ctx, h.Exec, addr)
	}
	return checkTCP(ctx, h.TCP, addr)
}

func at(addr netip.Addr, port uint16) string { return netip.AddrPortFrom(addr, port).String() }

func checkTCP(ctx context.Context, port uint16, addr netip.Addr) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at(addr, port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// client asks once, follows no redirect and goes through no proxy.
func client(t *http.Transport) *http.Client {
	t.DisableKeepAlives, t.Proxy, t.MaxResponseHeaderBytes = true, nil, maxAnswer
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func checkHTTP(ctx context.Context, c config.HTTPCheck, addr netip.Addr) error {
	_, err := AskHTTP(ctx, c, netip.AddrPortFrom(addr, c.Port), nil)
	return err
}

// checkGRPC is one unary call by hand: two small messages are not worth a library of some megabytes.
func checkGRPC(ctx context.Context, c config.GRPCCheck, addr netip.Addr) error {
	message := append([]byte{1<<3 | 2}, binary.AppendUvarint(nil, uint64(len(c.Service)))...) // field 1: the service's name
	message = append(message, c.Service...)
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) // not compressed
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at(addr, c.Port)+"/grpc.health.v1.Health/Check", bytes.NewReader(append(body, message...)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	t := &http.Transport{Protocols: new(http.Protocols)}
	t.Protocols.SetUnencryptedHTTP2(true)
	defer t.CloseIdleConnections()
	res, err := client(t).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	// An answer without a message has its status in the header.
	if status := cmp.Or(res.Trailer.Get("Grpc-Status"), res.Header.Get("Grpc-Status")); status != "0" {
		return fmt.Errorf("gRPC status %q %s", status, cmp.Or(res.Trailer.Get("Grpc-Message"), res.Header.Get("Grpc-Message")))
	}
	const serving = 1
	if len(answer) < 7 || answer[5] != 1<<3 || answer[6] != serving { // field 1: the status
		return errors.New("it is not serving")
	}
	return nil
}

func checkUDP(ctx context.Context, c config.UDPCheck, addr netip.Addr) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", at(addr, c.Port))
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, c.Send); err != nil {
		return err
	}
	answer := make([]byte, maxAnswer)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer[:n], []byte(c.Expect)) {
		return fmt.Errorf("the answer begins with %q", answer[:min(n, 64)])
	}
	return nil
}

// checkExec runs a program, and ends all that it has started with it.
func checkExec(ctx context.Context, argv []string, addr netip.Addr) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "EBBTIDE_ADDRESS=" + addr.String()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null // files: nobody waits for who holds a pipe
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", argv[0], ctx.Err())
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("%s: exit code %s", argv[0], strconv.Itoa(exit.ExitCode()))
	}
	return err
}
