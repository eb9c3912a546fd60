package docs_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebbtide/ebbtide/internal/config"
	"github.com/ebbtide/ebbtide/internal/hook"
)

var (
	firstCell = regexp.MustCompile("(?m)^\\| ((?:`\\w+`(?:, )?)+) \\|")
	variable  = regexp.MustCompile("`(EBBTIDE_\\w+)`")
	quoted    = regexp.MustCompile("`(\\w+)`")
)

// The page's sample of a call has each field of one, and no other.
func TestThePageOnHooksHasACall(t *testing.T) {
	page := mustRead(t, "hooks.md")
	_, rest, _ := strings.Cut(page, "```json\n")
	sample, _, _ := strings.Cut(rest, "```")
	call := mustCall(t)
	again, err := json.MarshalIndent(call, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if want := flat(t, again); flat(t, []byte(sample)) != want {
		t.Errorf("the page has\n%s\na call is\n%s", flat(t, []byte(sample)), want)
	}
}

// mustCall is the call that the page shows.
func mustCall(t *testing.T) (call hook.Call) {
	t.Helper()
	_, rest, _ := strings.Cut(mustRead(t, "hooks.md"), "```json\n")
	sample, _, _ := strings.Cut(rest, "```")
	d := json.NewDecoder(strings.NewReader(sample))
	d.DisallowUnknownFields()
	if err := d.Decode(&call); err != nil {
		t.Fatal(err)
	}
	return call
}

func flat(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page's configuration is one, and the examples that it names are there.
func TestThePageOnHooksHasAConfiguration(t *testing.T) {
	_, rest, _ := strings.Cut(mustRead(t, "hooks.md"), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	text = "interfaces: [eth0]\n" + strings.Replace(text, "  world:\n", `  world:
    listeners: [{vip: 203.0.113.10, protocol: tcp, port: 7777}]
    pools: {blue: {version: "1", backends: [{address: 10.0.0.11}]}}
`, 1)
	cfg, err := config.Parse("hooks.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	hooks := cfg.Services[0].Release.Hooks
	if len(hooks["flip"]) != 1 || len(hooks["notice"]) != 1 || hooks["backup"][0].Timeout != 30*time.Minute {
		t.Errorf("it has %+v", hooks)
	}
	name, ours := strings.CutPrefix(hooks["notice"][0].Exec[0], "/usr/share/ebbtide/hooks/")
	if _, err := os.Stat(filepath.Join("examples/hooks", name)); err != nil || !ours {
		t.Errorf("no example: %v", err)
	}
}

func TestThePageOnHooksHasEachTransition(t *testing.T) {
	_, section, _ := strings.Cut(mustRead(t, "hooks.md"), "## Transitions\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var told []string
	for _, row := range firstCell.FindAllStringSubmatch(section, -1) {
		for _, name := range quoted.FindAllStringSubmatch(row[1], -1) {
			told = append(told, name[1])
		}
	}
	names := config.HookNames()
	slices.Sort(told)
	slices.Sort(names)
	if !slices.Equal(told, names) {
		t.Errorf("the page tells of %q, there are %q", told, names)
	}
}

func TestThePageOnHooksHasEachVariable(t *testing.T) {
	told := map[string]bool{}
	for _, m := range variable.FindAllStringSubmatch(mustRead(t, "hooks.md"), -1) {
		told[m[1]] = true
	}
	res := run(t, config.Hook{Exec: []string{"/usr/bin/env"}}, mustCall(t))
	set := map[string]bool{}
	for line := range strings.Lines(res.Output) {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "EBBTIDE_") && !strings.HasPrefix(name, "EBBTIDE_TO_") {
			set[name] = true
		}
	}
	if !reflect.DeepEqual(told, set) {
		t.Errorf("the page tells of %v, a program has %v", told, set)
	}
}

func run(t *testing.T, h config.Hook, call hook.Call) hook.Result {
	t.Helper()
	h.Timeout = time.Minute
	return hook.NewRunner(hook.Options{}).Run(t.Context(), h, call)
}

// example is a hook that runs one of the examples.
func example(t *testing.T, name string, args ...string) config.Hook {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("examples/hooks", name))
	if err != nil {
		t.Fatal(err)
	}
	return config.Hook{Exec: append([]string{path}, args...)}
}

func mustFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustServe hands each connection to serve, and gives where it listens.
func mustServe(t *testing.T, serve func(net.Conn)) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr)
}

// rconServer speaks RCON as game servers do, an empty output before the answer to a login among it, and its packets come in
// pieces.
func rconServer(t *testing.T, password string) (port string, said <-chan string) {
	t.Helper()
	commands := make(chan string, 10)
	addr := mustServe(t, func(conn net.Conn) {
		answer := func(number, kind int32, text string) {
			var b bytes.Buffer
			binary.Write(&b, binary.LittleEndian, []int32{int32(len(text)) + 10, number, kind})
			b.WriteString(text + "\x00\x00")
			for _, c := range b.Bytes() {
				conn.Write([]byte{c})
			}
		}
		for in := false; ; {
			var head [3]int32
			if binary.Read(conn, binary.LittleEndian, &head) != nil {
				return
			}
			body := make([]byte, head[0]-8)
			if _, err := io.ReadFull(conn, body); err != nil || !bytes.HasSuffix(body, []byte{0, 0}) {
				return
			}
			text := string(body[:len(body)-2])
			switch {
			case head[2] == 3:
				number := int32(-1)
				if in = text == password; in {
					number = head[1]
				}
				answer(head[1], 0, "")
				answer(number, 2, "")
			case head[2] == 2 && in:
				commands <- text
				answer(head[1], 0, "said\n")
			default:
				return
			}
		}
	})
	return strconv.Itoa(addr.Port), commands
}

func TestTheExampleOfRCONSaysItToThoseWhoAreLeft(t *testing.T) {
	port, said := rconServer(t, "pa ss")
	call := mustCall(t)
	call.Left[0].Backend = "127.0.0.1"
	call.Left = append(call.Left, call.Left[0])
	call.Left[1].Client = "[2001:db8::7]:40000"
	right, wrong := mustFile(t, "pa ss\n"), mustFile(t, "pass\n")
	for _, row := range []struct {
		command string
		want    []string
	}{
		{"say Move to {version} by {deadline}; {x}", []string{"say Move to v2.0 by 2026-03-01T16:00:00Z; {x}"}},
		{"tell {ip} bye", []string{"tell 198.51.100.7 bye", "tell 2001:db8::7 bye"}},
		{"kick {client}", []string{"kick 198.51.100.7:40000", "kick [2001:db8::7]:40000"}},
	} {
		res := run(t, example(t, "rcon.py", port, right, row.command), call)
		if res.Err != nil || strings.Count(res.Output, "127.0.0.1: said\n") != len(row.want) {
			t.Fatalf("%+v", res)
		}
		for _, want := range row.want {
			if got := <-said; got != want {
				t.Errorf("%q was said, want %q", got, want)
			}
		}
	}
	if res := run(t, example(t, "rcon.py", port, wrong, "say x"), call); res.Err == nil || !strings.Contains(res.Output, "the password is wrong") {
		t.Errorf("%+v", res)
	}
	call.Left[0].Backend = "127.0.0.2" // where nobody listens
	res := run(t, example(t, "rcon.py", port, right, "say x"), call)
	if res.Err == nil || !strings.Contains(res.Output, "127.0.0.2: ") || !strings.Contains(res.Output, "127.0.0.1: said") {
		t.Errorf("one that fails keeps others from it: %+v", res)
	}
	if len(said) != 1 {
		t.Errorf("%d commands came, want 1", len(said))
	}
	call.Left = nil
	if res := run(t, example(t, "rcon.py", port, right, "say x"), call); res.Err != nil || res.Output != "" {
		t.Errorf("of nobody: %+v", res)
	}
}

// redisServer answers what a Redis with a password does.
func redisServer(t *testing.T) (addr string, published <-chan []string) {
	t.Helper()
	messages := make(chan []string, 10)
	return mustServe(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		for in := false; ; {
			words, err := redisCommand(r)
			switch {
			case err != nil:
				return
			case words[0] == "AUTH":
				if in = words[1] == "secret"; !in {
					io.WriteString(conn, "-WRONGPASS invalid password\r\n")
					continue
				}
				io.WriteString(conn, "+OK\r\n")
			case !in:
				io.WriteString(conn, "-NOAUTH Authentication required.\r\n")
			default:
				messages <- words
				io.WriteString(conn, ":2\r\n")
			}
		}
	}).String(), messages
}

// redisCommand reads an array of strings.
func redisCommand(r *bufio.Reader) (words []string, err error) {
	var count, size int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &count); err != nil {
		return nil, err
	}
	for range count {
		if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	return words, nil
}

func TestTheExampleOfRedisPublishesTheCall(t *testing.T) {
	addr, published := redisServer(t)
	call := mustCall(t)
	res := run(t, example(t, "redis.py", addr, "notices", mustFile(t, "secret\n")), call)
	if res.Err != nil || res.Output != "2 subscribers heard it\n" {
		t.Fatalf("%+v", res)
	}
	var got hook.Call
	if words := <-published; words[0] != "PUBLISH" || words[1] != "notices" || json.Unmarshal([]byte(words[2]), &got) != nil || !reflect.DeepEqual(got, call) {
		t.Errorf("published: %q", words)
	}
	for _, row := range []struct {
		says string
		args []string
	}{
		{addr + ": NOAUTH Authentication required.", []string{addr, "notices"}},
		{addr + ": WRONGPASS invalid password", []string{addr, "notices", mustFile(t, "x")}},
		{"127.0.0.2:1: ", []string{"127.0.0.2:1", "notices"}},
	} {
		if res := run(t, example(t, "redis.py", row.args...), call); res.Err == nil || !strings.Contains(res.Output, row.says) {
			t.Errorf("want %s, got %+v", row.says, res)
		}
	}
}

func TestTheExampleOfAReceiverTakesEachGenuineCallOnce(t *testing.T) {
	secret := mustFile(t, "swordfish\n")
	url, told := receiver(t, secret)
	call := mustCall(t)
	signed := config.Hook{Webhook: config.Webhook{URL: url, SecretFile: secret}}
	for range 2 {
		if res := run(t, signed, call); res.Err != nil || res.HTTPStatus != 204 {
			t.Errorf("%+v", res)
		}
	}
	forged, unsigned := signed, signed
	forged.Webhook.SecretFile, unsigned.Webhook.SecretFile = mustFile(t, "other"), ""
	for _, h := range []config.Hook{forged, unsigned} {
		if res := run(t, h, call); res.Err == nil || res.HTTPStatus != 403 {
			t.Errorf("%+v", res)
		}
	}
	call.Key, call.Transition, call.Left = "world/3/flip/1", "flip", nil
	if res := run(t, signed, call); res.Err != nil {
		t.Errorf("%+v", res)
	}
	for _, want := range []string{"world notice 1", "world flip 0"} {
		if !told.Scan() || told.Text() != want {
			t.Errorf("it tells of %q, want %q", told.Text(), want)
		}
	}
}

// receiver starts the example, and gives its address and what it says.
func receiver(t *testing.T, secret string) (url string, told *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "examples/hooks/receive.py", "0", secret)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	told = bufio.NewScanner(out)
	if !told.Scan() {
		t.Fatal("it says nothing")
	}
	return "http://127.0.0.1:" + strings.TrimPrefix(told.Text(), "listening on port "), told
}

// What the page shows of the receiver is its text.
func TestThePageShowsHowTheReceiverChecks(t *testing.T) {
	_, rest, _ := strings.Cut(mustRead(t, "hooks.md"), "```python\n")
	shown, _, _ := strings.Cut(rest, "```")
	if shown == "" || !strings.Contains(mustRead(t, "examples/hooks/receive.py"), shown) {
		t.Errorf("receive.py has not\n%s", shown)
	}
}
