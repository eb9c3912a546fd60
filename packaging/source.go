package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// source is the commit that the packages are of.
type source struct {
	version string
	epoch   string // when it was made, in seconds
}

// sourceOf asks git. What is not committed shows in the version.
func sourceOf(ctx context.Context, version string) (source, error) {
	s := source{version: version, epoch: os.Getenv("SOURCE_DATE_EPOCH")}
	if s.version != "" && s.epoch != "" {
		return s, nil
	}
	head, err := output(ctx, []string{"TZ=UTC"}, "git", "log", "-1", "--format=%ct %cd %h", "--abbrev=10", "--date=format-local:%Y%m%d%H%M%S")
	if err != nil {
		return s, fmt.Errorf("ask for the commit (without git, set SOURCE_DATE_EPOCH and give -version): %w", err)
	}
	fields := strings.Fields(head)
	if s.epoch == "" {
		s.epoch = fields[0]
	}
	if s.version != "" {
		return s, nil
	}
	if tag, err := output(ctx, nil, "git", "describe", "--exact-match", "--tags", "--match=v[0-9]*"); err == nil {
		// A pre-release comes before its release: dpkg and rpm say so by ~.
		s.version = strings.Replace(strings.TrimPrefix(tag, "v"), "-", "~", 1)
	} else {
		s.version = fmt.Sprintf("0~%s.%s", fields[1], fields[2])
	}
	changed, err := output(ctx, nil, "git", "status", "--porcelain")
	if err != nil {
		return s, fmt.Errorf("ask for what is not committed: %w", err)
	}
	if changed != "" {
		s.version += "+changed"
	}
	return s, nil
}
