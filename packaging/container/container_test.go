// Package container holds the examples for containers against the code that reads them: Kubernetes' own types, and the
// parser and linter of docker build. It is a module of its own, for their modules.
package container

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func documents(t *testing.T) (config corev1.ConfigMap, set appsv1.DaemonSet) {
	t.Helper()
	data, err := os.ReadFile("daemonset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	first, second, ok := bytes.Cut(data, []byte("\n---\n"))
	if !ok {
		t.Fatal("want two documents")
	}
	if err := yaml.UnmarshalStrict(first, &config); err != nil {
		t.Error(err)
	}
	if err := yaml.UnmarshalStrict(second, &set); err != nil {
		t.Error(err)
	}
	return config, set
}

func TestTheDaemonSetIsOneOfKubernetes(t *testing.T) {
	config, set := documents(t)
	if set.Kind != "DaemonSet" || config.Kind != "ConfigMap" {
		t.Errorf("kinds %s and %s", config.Kind, set.Kind)
	}
	pod := set.Spec.Template
	for k, v := range set.Spec.Selector.MatchLabels {
		if pod.Labels[k] != v {
			t.Errorf("the selector's %s=%s is not the pod's", k, v)
		}
	}
	c := pod.Spec.Containers[0]
	if got := c.SecurityContext.Capabilities; !slices.Equal(got.Add, []corev1.Capability{"BPF", "NET_ADMIN", "PERFMON"}) || !slices.Equal(got.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("capabilities %+v", got)
	}
	for _, m := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
			t.Errorf("the pod has no volume %s", m.Name)
		}
	}
	file := filepath.Join(t.TempDir(), "ebbtide.yaml")
	if err := os.WriteFile(file, []byte(config.Data["ebbtide.yaml"]), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "-C", "../..", "run", "./cmd/ebbtide", "check", file).CombinedOutput(); err != nil {
		t.Errorf("its configuration: %v\n%s", err, out)
	}
}

func TestTheDockerfileIsOne(t *testing.T) {
	f, err := os.Open("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Warnings) != 0 {
		t.Errorf("warnings: %+v", parsed.Warnings)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is made of %s", last.BaseName)
	}
	var names []string
	for _, c := range last.Commands {
		names = append(names, c.Name())
	}
	if got := strings.Join(names, " "); got != "COPY ENTRYPOINT CMD" {
		t.Errorf("the image's stage does: %s", got)
	}
}
