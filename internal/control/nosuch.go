package control

import (
	"slices"

	"github.com/ebbtide/ebbtide/internal/api"
	"github.com/ebbtide/ebbtide/internal/image"
	"github.com/ebbtide/ebbtide/internal/nearest"
)

// noService is the error for a service that there is not, with the one that may be meant.
func noService(im *image.Image, name string) error {
	var names []string
	for _, s := range im.Services {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return noneOf(names, name)
}

func noneOf(names []string, name string) error {
	return api.Errorf(api.NotFound, "service %s: there is none of this name%s", name, nearest.Hint(name, names))
}
