package bundle

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// removed stands where something was taken out.
const removed = "[removed]"

// shortest is how long a text has to be to count as a secret wherever it stands: a shorter one would be found in words.
const shortest = 6

// Secrets takes out of texts what is not to be seen by whoever gets a bundle.
type Secrets struct{ known []string }

// NewSecrets takes out these texts besides what looks like a secret: of a configuration, its arguments and what is in its
// secret files.
func NewSecrets(known []string) *Secrets {
	s := &Secrets{}
	for _, k := range known {
		if len(k) >= shortest {
			s.known = append(s.known, k)
		}
	}
	// The longest first: one may be part of another.
	slices.SortFunc(s.known, func(a, b string) int { return len(b) - len(a) })
	return s
}

// What an address of HTTP may hide behind its host, and a name and password before it.
var (
	query = regexp.MustCompile("(?i)(https?://[^\\s\"'`<>\\\\?#]*)[?#][^\\s\"'`<>\\\\]*")
	login = regexp.MustCompile(`(?i)(https?://)[^\s"'/@]+@`)
	// bearer is what follows the name of a credential.
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic|token|secret|password|passwd|api[-_]?key)(["']?\s*[:=]\s*["']?|\s+)([^\s"',;&}\]]{6,})`)
)

// Text gives a text without them.
func (s *Secrets) Text(text string) string {
	for _, k := range s.known {
		text = strings.ReplaceAll(text, k, removed)
	}
	text = login.ReplaceAllString(text, "${1}"+removed+"@")
	text = query.ReplaceAllString(text, "${1}?"+removed)
	return bearer.ReplaceAllString(text, "${1}${2}"+removed)
}

// Configuration gives a file without comments, without arguments of programs, and without what a key calls a secret. One that
// is no YAML is left out: what it holds can't be told.
func (s *Secrets) Configuration(file []byte) string {
	var doc yaml.Node
	if err := yaml.Unmarshal(file, &doc); err != nil {
		return fmt.Sprintf("# left out: it is no YAML: %s\n", s.Text(err.Error()))
	}
	clean(&doc, "")
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return fmt.Sprintf("# left out: %s\n", s.Text(err.Error()))
	}
	return s.Text(out.String())
}

// secretKey is what a field is called whose value is a secret. A file's path is none.
var secretKey = regexp.MustCompile(`(?i)(secret|token|password|passwd|credential|private|api[-_]?key|authorization)`)

func clean(n *yaml.Node, key string) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			clean(n.Content[i], "")
			clean(n.Content[i+1], n.Content[i].Value)
		}
		return
	case key == "exec" && n.Kind == yaml.SequenceNode:
		for i, arg := range n.Content {
			if i > 0 {
				arg.Value = removed
			}
		}
	case n.Kind == yaml.ScalarNode && secretKey.MatchString(key) && !strings.HasSuffix(key, "_file"):
		n.SetString(removed)
	}
	for _, child := range n.Content {
		clean(child, key)
	}
}
