package config

import "strings"

// nearest gives the known word that name is most likely a slip of: at most
// one edit for every three bytes of it away.
func nearest(name string, known []string) (string, bool) {
	if len(name) > maxShown {
		return "", false
	}
	best, guess := len(name)/3+1, ""
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < best {
			best, guess = d, k
		}
	}
	return guess, guess != ""
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
