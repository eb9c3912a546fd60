package remote

import (
	"strings"
	"testing"
)

func TestATokenIsKnownByItsLineOnly(t *testing.T) {
	token, line, err := NewToken("ci")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := parseTokens([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	sum, ok := hashToken(token)
	if !ok || tokens[sum] != "ci" || strings.Contains(line, token[len(tokenWord):]) {
		t.Errorf("token %s, line %s", token, line)
	}
	again, _, err := NewToken("ci")
	if err != nil || again == token {
		t.Errorf("the next token is the same: %v", err)
	}
}

func TestMistakesInTheTokensFileAreNamedWithoutTheToken(t *testing.T) {
	token, line, err := NewToken("ci")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"# none\nci":         "line 2: want a name and sha256:…",
		"ci " + token:        "line 1: want sha256: and 64 hexadecimal digits",
		"ci " + token[:20]:   "line 1: want sha256: and 64 hexadecimal digits",
		line + "\n" + line:   "line 2: the token is also that of ci",
		line + " operator":   "line 1: want a name and sha256:…",
		"\x01" + line:        "line 1: want a name and sha256:…",
		line[:len(line)-2]:   "line 1: want sha256: and 64 hexadecimal digits",
		"ci sha512:" + "0a0": "line 1: want sha256: and 64 hexadecimal digits",
	} {
		_, err := parseTokens([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), token[:20]) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzTokensFile(f *testing.F) {
	_, line, err := NewToken("ci")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "# none", line, line + "\r\n" + line, "a\x00 sha256:", strings.Repeat("x", 70_000)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := parseTokens(text)
		if err != nil {
			return
		}
		for _, name := range tokens {
			if !isTokenName(name) {
				t.Errorf("the name %q", name)
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	token, line, err := NewToken("ci")
	if err != nil {
		f.Fatal(err)
	}
	tokens, err := parseTokens([]byte(line))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{token, token + "=", token[:len(token)-1] + "_", "", tokenWord, strings.ToUpper(token)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if sum, ok := hashToken(text); ok && tokens[sum] != "" && text != token {
			t.Errorf("%q is taken for the token", text)
		}
	})
}
