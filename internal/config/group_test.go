package config

import (
	"strings"
	"testing"
)

func TestAServiceMayBeInAGroup(t *testing.T) {
	cfg := mustParse(t, strings.Replace(sound, lobbyMode, lobbyMode+"\n    group: shard-1", 1))
	if lobby, _ := cfg.Service("lobby"); lobby.Group != "shard-1" {
		t.Errorf("group %q", lobby.Group)
	}
	refuse(t, []mistake{
		{"a group that is no name", lobbyMode, lobbyMode + "\n    group: Shard 1",
			[]string{"18: services.lobby.group: a group's name is 1 to 31 of a-z, 0-9 and -, and neither begins nor ends with -"}},
		{"a list of groups", lobbyMode, lobbyMode + "\n    group: [a, b]", []string{"18: services.lobby.group: want text, got a list"}},
	})
}
