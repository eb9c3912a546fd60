package remote

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ebbtide/ebbtide/internal/config"
)

// A token is 256 random bits, behind a word by which a scanner for lost secrets finds it. The daemon has its SHA-256 only. A
// slow hash is for what people choose: nobody finds 256 random bits by trying, and each try would cost this host the slow
// hash. A token that is not of this form is refused, so nobody can choose one.
const (
	tokenWord  = "ebbtide_"
	tokenBytes = 32
)

// hashed is what the daemon knows of a token.
type hashed [sha256.Size]byte

// NewToken draws a token, and gives it with the line for the tokens file.
func NewToken(name string) (token, line string, err error) {
	if !isTokenName(name) {
		return "", "", fmt.Errorf("name %q: want 1 to 64 printable bytes without a space", name)
	}
	var secret [tokenBytes]byte
	rand.Read(secret[:])
	token = tokenWord + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	return token, fmt.Sprintf("%s sha256:%s", name, hex.EncodeToString(sum[:])), nil
}

// hashToken gives the hash of what has the form of a token.
func hashToken(token string) (hashed, bool) {
	secret, ok := strings.CutPrefix(token, tokenWord)
	if !ok || len(secret) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return hashed{}, false
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(secret); err != nil {
		return hashed{}, false
	}
	return sha256.Sum256([]byte(token)), true
}

func isTokenName(name string) bool {
	return config.IsRoleName(name) && !strings.ContainsAny(name, " #")
}

// maxTokens bounds the lines of a tokens file.
const maxTokens = 10_000

// parseTokens reads a tokens file: a name and a hash a line. A name may have several, so that one can take another's place.
func parseTokens(text []byte) (map[hashed]string, error) {
	tokens := map[hashed]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if n > maxTokens {
			return nil, fmt.Errorf("more than %d lines", maxTokens)
		}
		if len(words) != 2 || !isTokenName(words[0]) {
			return nil, fmt.Errorf("line %d: want a name and sha256:…, as 'ebbtide token' prints them", n)
		}
		// The line may be a token itself, put here by mistake: it is not repeated.
		text, ok := strings.CutPrefix(words[1], "sha256:")
		sum, err := hex.DecodeString(text)
		if !ok || err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("line %d: want sha256: and 64 hexadecimal digits behind the name, as 'ebbtide token' prints them", n)
		}
		if other, twice := tokens[hashed(sum)]; twice {
			return nil, fmt.Errorf("line %d: the token is also that of %s", n, other)
		}
		tokens[hashed(sum)] = words[0]
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return tokens, nil
}
