package datapath

import (
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var mutantCount = flag.Int("mutants", 10, "how many of the mutants are built and have to be found")

// mutant is a mistake that somebody could make in the program.
type mutant struct {
	name     string
	file     string // under bpf
	old, new string // old is there once
}

var mutants = []mutant{
	{"a first fragment counts as whole", "parse.h", "IP_MF_OFFSET = 0x3fff,", "IP_MF_OFFSET = 0x1fff,"},
	{"one extension header fewer is walked", "parse.h", "IP6_EXTENSIONS = 6,", "IP6_EXTENSIONS = 5,"},
	{"an IPv4 header may be too short", "parse.h", "ip->version != 4 || len < sizeof(*ip) ||", "ip->version != 4 ||"},
	{"a TCP header may end behind its packet", "parse.h", "len < sizeof(*tcp) || len > room ||", "len < sizeof(*tcp) ||"},
	{"a datagram may be shorter than its header", "parse.h", "if (len < sizeof(*udp) ||", "if ("},
	{"padding counts as payload", "parse.h", "t->payload = room - len;", "t->payload = c->end - c->pos - len;"},
	{"no IPv4 header checksum", "rewrite.h", "	ip->check = csum_apply(ip->check, sum);\n", ""},
	{"the TTL's carry is lost", "rewrite.h", "check + (check >= 0xffff)", "check"},
	{"a port is missing in the checksum", "rewrite.h", "return sum + (__u16)~from + to;", "return sum;"},
	{"a datagram without a checksum gets one", "rewrite.h", "		if (!udp->check)\n			return;\n", ""},
	{"a checksum comes out as none", "rewrite.h", "			udp->check = 0xffff;", "			udp->check = 0;"},
	{"established a tick late", "meta.h", "AGE_ESTABLISHED = 10,", "AGE_ESTABLISHED = 11,"},
	{"a clock that is further ahead looks like the past", "meta.h", "#define TICK_SKEW 4U", "#define TICK_SKEW 3U"},
	{"a FIN is remembered behind its flow", "meta.h", "(meta & ~(META_STATE | META_FIN)) | state", "(meta & ~META_STATE) | state"},
	{"a SYN's data counts", "lifecycle.h", "(is_open(t) ? 0 : t->payload)", "t->payload"},
	{"a port is reused a tick late", "lifecycle.h", "silence >= reuse_after", "silence > reuse_after"},
	{"data right behind a FIN does not refute it", "lifecycle.h", "(__s32)(t->seq - end_seq) >= 0", "(__s32)(t->seq - end_seq) > 0"},
	{"an ACK of the FIN does not confirm it", "lifecycle.h", "(t->seq == end_seq || t->ack == end_seq)", "(t->seq == end_seq)"},
	{"a datagram can be in mid-stream", "lifecycle.h", "t->proto == IPPROTO_TCP && !is_open(t)", "!is_open(t)"},
	{"the second line is the first again", "flowtable.h", "i < 2 ? (__u32)hash : hash >> 32", "(__u32)hash"},
	{"an expired flow goes on", "serve.h", "silence > timeout_in(svc, hit->word, t->proto)", "false"},
	{"a way back is not learned anew", "serve.h", " || l->forwarding == FORWARDING_NAT)", ")"},
	{"flows into two VIPs are one", "flowtable.h", " && meta_tag(after) != id->vip", " && false"},
	{"the VIP id is in the steering hash", "steer.h", "family == FAMILY_IPV6 ? key[0] >> 32 : key[0]", "key[0]"},
	{"an orphan of an empty generation is lost", "steer.h", "if (!c.backend && c.generation != (word & 0xffff))", "if (false)"},
	{"a drain that nobody sees", "steer.h", "c.draining = (word >> STEER_DRAINING_SHIFT) & 1;", "c.draining = false;"},
	{"a closing flow is replaced no sooner than a young one", "pin.h", "return 1ULL << RANK_CLASS_SHIFT | newness;", "return 3ULL << RANK_CLASS_SHIFT | newness;"},
	{"a share without its salt", "steer.h", "__u64 h = (salt ^ (family", "__u64 h = ((family"},
	{"a tester's neighbour is one too", "steer.h", "k->prefixlen = 64;", "k->prefixlen = 63;"},
	{"a tester is told busy", "pin.h", "is_busy(svc) && !is_tester(index, FAMILY_IPV4, call->id.key)", "is_busy(svc)"},
	{"a busy service cuts what is in mid-stream", "pin.h", "if (call->preset || call->midstream)", "if (call->preset)"},
	{"a SYN's RST acknowledges nothing", "reset.h", " + !!(t->flags & (TCP_SYN | TCP_FIN))", ""},
	{"who is moved is not counted", "pin.h", "		count_moved(call->left);", "		;"},
	{"the outer header loses ECN", "forward4.h", ".tos = ip->tos,", ".tos = ip->tos & 0xfc,"},
	{"dsr wants a TTL to spare", "forward4.h", "ip->ttl <= (be->forwarding != FORWARDING_DSR)", "ip->ttl <= 1"},
	{"the quoted header's checksum is left out", "icmp4.h", "	sum = csum_check(sum, old, inner->check);\n", ""},
	{"an ICMPv6 checksum without the destination", "icmp6.h", "csum_words(change, (const __be32 *)outer, to, 4)", "change"},
	{"an MSS on an odd byte", "mss.h", "	if (at & 1) {", "	if (false) {"},
	{"a tag loses its priority", "tags.h", "want->words[0] | (tags.words[0] & TAG_PRIORITY)", "want->words[0]"},
	{"an inner tag is as good as another", "tags.h", "(p->l2 < L2_MAX || !((at[1] ^ want->words[1]) & ~TAG_PRIORITY))", "true"},
	{"a tag of VLAN 0 is a VLAN", "reply.h", "if (l2 < L2_MAX && !(key.tags.words[0] & bpf_htonl(0xfff)))", "if (false)"},
	{"a backend's error is anybody's", "flow.h", "if (!be || !is_of(family, be, w->from.vip))", "if (!be)"},
	{"broadcast is no martian", "packet4.h", "a >> 28 >= 0xe", "a >> 28 == 0xe"},
	{"a fragment's time ends a tick early", "fragments.h", "fragment_age(value) <= FRAGMENT_TICKS", "fragment_age(value) < FRAGMENT_TICKS"},
	{"a packet as large as its way is too large", "forward6.h", "p->len > be->room", "p->len >= be->room"},
	{"a session is joined a tick after its cap", "session.h", "(__s32)(now - first) > (__s32)svc->linger_cap", "(__s32)(now - first) > (__s32)svc->linger_cap + 1"},
	{"a backend that takes no new sessions has no cap", "session.h", "since = *(volatile __u32 *)&be->retired;", "since = 0;"},
	{"a flip does not put the cap off", "session.h", "	if ((__s32)(since - first) > 0)\n		first = since;\n", ""},
	{"who comes back is not counted", "session.h", "		n->rejoined++;", "		;"},
	{"a session stays as young as it began", "session.h", "meta_state(hit.word) < state)", "false)"},
	{"a session in the overflow is not renewed", "session.h", " && !find_spilled(family, id, &hit)", ""},
	{"a flow that fell silent has not ended", "sweep.h", "		e.meta = FLOW_FREE;\n", "		e.session = true;\n"},
	{"a closed listener begins sessions", "serve.h", "call->preset || call->closed || call->admission", "call->preset || call->admission"},
	{"a flow of the overflow joins anew", "serve.h", "return call->ended || !(", "return true || !("},
	{"a flow that moves with its session is a session", "pin.h", "	if (call->preset)\n		return;\n", ""},
	{"a prefix has a bit more", "limits.h", "prefix >>= (64 - bits) & 63;", "prefix >>= (63 - bits) & 63;"},
	{"a bucket of new flows has no bottom", "limits.h", "		if (!left)\n			return false;\n", ""},
	{"a bucket of new flows is never filled up", "limits.h", "(__u64)idle(word, now) * svc->new_flows;", "0;"},
	{"one half-open flow more than the share", "pin.h", "return n >= most;", "return n > most;"},
	{"the first line is filled to its end", "pin.h", "i == 0 && used < SLOTS - 1", "i == 0 && used < SLOTS"},
}

// mutantPackets is within how many packets a mutant has to be found.
const mutantPackets = 90_000

// Each mistake is one that the model finds, so that its silence means something. A run takes some of them, others each
// time: `make soak` takes all.
func TestTheModelFindsEveryMutant(t *testing.T) {
	first := rand.IntN(len(mutants))
	for i := range min(*mutantCount, len(mutants)) {
		m := mutants[(first+i)%len(mutants)]
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := newRun(t, 1, options{flows: 8, object: m.mustBuild(t)})
			for p.done < mutantPackets {
				if err := p.play(worldPackets/2, lookEvery); err != nil {
					what, _, _ := strings.Cut(err.Error(), "\n")
					t.Logf("after %d packets: %s", p.done, what)
					return
				}
				p.worlds++
			}
			t.Errorf("%s: %q for %q, and in %d packets nothing was seen", m.file, m.new, m.old, p.done)
		})
	}
}

// Every run looks whether each mistake still has its place, also those that it does not take.
func TestEveryMutantHasItsPlace(t *testing.T) {
	for _, m := range mutants {
		text, err := os.ReadFile(filepath.Join(sources, m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: bpf/%s has %q %d times, not once: the source has changed, and the mutant must follow", m.name, m.file, m.old, n)
		}
	}
}

// sources of the program.
const sources = "../../bpf"

// mustBuild builds the program with the mistake in it, by the command that builds the committed object.
func (m mutant) mustBuild(t *testing.T) (object string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(sources)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mutated := strings.Replace(string(text), m.old, m.new, 1)
	if err := os.WriteFile(path, []byte(mutated), 0o644); err != nil {
		t.Fatal(err)
	}
	object = filepath.Join(dir, "mutant.o")
	compiler, flags := mustReadDirective(t, filepath.Join(sources, "generate.go"))
	args := append([]string{"-target", "bpfel", "-g", "-c", "ebbtide.bpf.c", "-o", object}, flags...)
	cmd := exec.Command(compiler, append(args, "-Wno-error")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant (make tools installs %s): %v\n%s", compiler, err, out)
	}
	return object
}

// mustReadDirective takes the compiler and its flags from where they are written.
func mustReadDirective(t *testing.T, file string) (compiler string, flags []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^//go:generate .* -cc (\S+) .* -- (.*)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s: no bpf2go directive with a compiler and flags", file)
	}
	return string(found[1]), strings.Fields(string(found[2]))
}
