package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

// built is what `make ui` makes of ui.
//
//go:embed dist
var built embed.FS

// types are those of the files that there are; the host's own list of them plays no part.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// files are those of the page, by their path.
func files() map[string][]byte {
	out := map[string][]byte{}
	err := fs.WalkDir(built, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := built.ReadFile(name)
		out[name[len("dist"):]] = text
		return err
	})
	if err != nil {
		panic(err) // they are in this program
	}
	out["/"] = out["/index.html"]
	return out
}

// page serves them.
func page() http.Handler {
	all := files()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := all[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		kind := types[path.Ext(r.URL.Path)]
		if r.URL.Path == "/" {
			kind = types[".html"]
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(text) // who has gone away needs no page
	})
}
