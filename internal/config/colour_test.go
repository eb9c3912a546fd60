package config

import (
	"encoding/json"
	"testing"
)

func TestColoursAreTheirWordsInJSON(t *testing.T) {
	data, err := json.Marshal(map[Colour]Protocol{Blue: TCP, Green: UDP})
	if err != nil || string(data) != `{"blue":"tcp","green":"udp"}` {
		t.Fatalf("got %s, %v", data, err)
	}
	var back map[Colour]Protocol
	if err := json.Unmarshal(data, &back); err != nil || back[Blue] != TCP || back[Green] != UDP {
		t.Fatalf("got %v, %v", back, err)
	}
}

func TestWhatIsNoColourIsRefused(t *testing.T) {
	var c Colour
	if err := c.UnmarshalText([]byte("red")); err == nil || err.Error() != `colour "red": want blue or green` {
		t.Errorf("got %v", err)
	}
	if _, err := c.MarshalText(); err == nil || err.Error() != `colour "": want blue or green` {
		t.Errorf("got %v", err)
	}
	var p Protocol
	if err := p.UnmarshalText([]byte("sctp")); err == nil || err.Error() != `protocol "sctp": want tcp or udp` {
		t.Errorf("got %v", err)
	}
}

func TestEachColourIsTheOtherOfTheOther(t *testing.T) {
	for _, c := range Colours() {
		if c.Other() == c || c.Other().Other() != c {
			t.Errorf("%s: other is %s", c, c.Other())
		}
	}
	if Colour("red").Other() != "" {
		t.Error("red has another")
	}
}
