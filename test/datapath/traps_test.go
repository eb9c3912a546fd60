package datapath

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// traps of the packet path that others fell into, and the tests that fall into them: here, or in a directory beside.
var traps = []struct {
	trap  string
	tests []string
}{
	{"lookup and store use different maps: UDP never hits", []string{"TestPacketFlipPacketHits"}},
	{"pointer arithmetic on a typed pointer skips too much of a tagged frame", []string{"TestDSR", "TestNAT", "TestIPIP", "TestTheLargestFrameInEachMode"}},
	{"a guard reads a struct before it is filled", []string{"TestEveryDropReason", "TestEveryVerdictWithAReasonHasARow"}},
	{"the data path writes a configuration map", []string{"TestConfigurationMapsAreEqualBitByBitAfterTraffic"}},
	{"stale bytes end up in a header after bpf_xdp_adjust_head", []string{"TestIPIP", "TestNoStaleBytesInAnswers"}},
	{"ICMP errors that quote only 8 bytes of transport header are dropped", []string{"TestErrorsInNAT", "TestErrorsInDSR", "TestIPIPOfOtherPackets"}},
	{"the quoted packet is rewritten and the outer checksum is not, or the other way round", []string{
		"TestErrorsInNAT", "TestErrorsUpdateEveryChecksumAsIfComputedInFull", "TestErrorsWithBytesBehindThem", "e2e/TestPathMTUDiscoveryOfBackends",
	}},
	{"a UDP checksum of 0 is adjusted, or a computed 0 is sent", []string{"TestNAT", "TestErrorsInNAT", "TestAComputedChecksumOf0GoesAs0xffff"}},
	{"an end-around carry is forgotten", []string{"TestEveryChecksumIsUpdatedAsIfComputedInFull"}},
	{"TTL 0 is forwarded", []string{"TestEveryDropReason", "TestTTLOfLaterFragments", "TestIPIPOfOtherPackets"}},
	{"lengths are taken from the end of the frame", []string{
		"TestDSR", "TestNAT", "TestIPIP", "TestEveryDropReason", "TestLaterFragmentsWithWrongLengths", "TestErrorsWithWrongLengths", "TestErrorsWithBytesBehindThem",
	}},
	{"fragments and IPv4 options are read as ports", []string{"TestShuffledFragments", "TestFragmentsInTagsAndBehindOptions", "TestEveryDropReason", "TestDSR"}},
	{"too little headroom: encapsulation drops unseen", []string{"TestTooLittleHeadroomForIPIPIsCounted"}},
	{"the linear length of a jumbo frame is taken for the packet's", []string{"TestJumboFrames", "TestWhatIsMadeOfJumboFrames"}},
	{"attaching to a link with jumbo frames is refused", []string{"e2e/TestJumboFramesOnTheWire"}},
	{"frames that GRO has merged break size checks", []string{"e2e/TestGenericModeWithGRO"}},
	{"a redirect to a device that cannot take it", []string{"attach/TestABackendBehindAnInterfaceThatIsNotConfiguredIsUnusableUntilAReloadAddsIt"}},
	{"attach falls back silently to generic mode", []string{
		"attach/TestADeviceWithoutNativeXDPIsRefusedAndNotServedInGenericModeInstead", "attach/TestGenericModeWorksWhenAskedForAndIsShown",
	}},
	{"per-CPU flow tables lose flows when queues or bond members change", []string{"TestAPinHoldsOnAnotherCPUAndAnotherInterface", "TestAnswersFollowTheClientToItsInterface"}},
	{"the overhead budget forgets the tag or the option", []string{"TestTheLargestFrameInEachMode", "TestTooBig", "TestTooBigInIPIP", "TestFragmentsInTagsAndBehindOptions"}},
	{"id 0 of a zero-filled array is forwarded to", []string{
		"TestEveryDropReason", "TestTheHighestBackendID", "survive/TestKill9BetweenAnyTwoWritesOfAReloadLeavesNothingHalfApplied",
	}},
}

// Whoever renames or removes one of these tests says where its trap is met now.
func TestEachTrapOfThePacketPathHasItsTest(t *testing.T) {
	there := map[string]bool{}
	for dir, prefix := range map[string]string{".": "", "../attach": "attach/", "../e2e": "e2e/", "../survive": "survive/"} {
		for _, name := range testsIn(t, dir) {
			there[prefix+name] = true
		}
	}
	for _, trap := range traps {
		for _, name := range trap.tests {
			if !there[name] {
				t.Errorf("%s: there is no %s", trap.trap, name)
			}
		}
	}
}

// testsIn lists the tests of a directory.
func testsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no sources in %s: this binary was carried to another machine", dir)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}
