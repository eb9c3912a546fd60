package control

import (
	"testing"

	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/maps"
)

func TestAServiceThatThereIsNotIsAnsweredWithTheNearest(t *testing.T) {
	im := &image.Image{Services: map[uint16]image.Service{1: {Service: maps.Service{Name: "world"}}, 2: {Service: maps.Service{Name: "lobby"}}}}
	for name, want := range map[string]string{
		"wrold": "service wrold: there is none of this name; did you mean world?",
		"moon":  "service moon: there is none of this name",
	} {
		if got := noService(im, name).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
