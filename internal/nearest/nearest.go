// Package nearest finds what somebody may have meant.
package nearest

import "fmt"

// To is the name that is fewest letters away from what was typed, or "" when
// none is near. Of two as near it is the first.
func To(typed string, names []string) string {
	best, least := "", max(1, len(typed)/3)+1
	for _, name := range names {
		if d := distance(typed, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// Hint asks for it at the end of an error, and is empty when none is near.
func Hint(typed string, names []string) string {
	if name := To(typed, names); name != "" {
		return fmt.Sprintf("; did you mean %s?", name)
	}
	return ""
}

// distance counts letters put in, left out, taken for another, or swapped with
// the next.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	var before []int
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		next := make([]int, len(t)+1)
		next[0] = i + 1
		for j := range t {
			other := 0
			if s[i] != t[j] {
				other = 1
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+other)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(t)]
}
