package recording

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
)

// most is how large a file may be that a page shows.
const most = 150_000

// The files are those that one recording makes.
func TestThePicturesInTheDocsAreOfTheRecordingBesideThem(t *testing.T) {
	t.Parallel()
	c, err := ParseCast(mustRead(t, "../../docs/demo/demo.cast"))
	if err != nil {
		t.Fatal(err)
	}
	made, err := Make(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range made {
		got := mustRead(t, "../../docs/demo/"+name)
		if !bytes.Equal(got, want) {
			t.Errorf("docs/demo/%s is not what this code makes of docs/demo/demo.cast: make recording, or: go run ./test/recording/run -cast docs/demo/demo.cast", name)
		}
		if len(got) > most {
			t.Errorf("docs/demo/%s has %d bytes", name, len(got))
		}
	}
}

// What the picture has to show, read from the picture: blue ends empty, green is there, and the flip between.
func TestThePictureShowsATideThatTurns(t *testing.T) {
	t.Parallel()
	found := elements(t, mustRead(t, "../../docs/demo/tide.svg"))
	point := regexp.MustCompile(`[ML]([\d.]+) ([\d.]+)`)
	end := func(id string) (first, last, top string) {
		t.Helper()
		points := point.FindAllStringSubmatch(found[id], -1)
		if len(points) < 20 {
			t.Fatalf("the area of %s has %d points", id, len(points))
		}
		upper := points[:len(points)/2]
		top = upper[0][2]
		for _, p := range upper {
			if seconds(p[2]) < seconds(top) {
				top = p[2]
			}
		}
		return upper[0][2], upper[len(upper)-1][2], top
	}
	const bottom, high = "280.0", plotTop + 50
	if first, last, top := end("blue"); first != bottom || last != bottom || seconds(top) > high {
		t.Errorf("blue goes from %s over %s to %s, want it to begin and end at %s and to fill the picture between", first, top, last, bottom)
	}
	if first, last, _ := end("green"); first != bottom || seconds(last) > high {
		t.Errorf("green goes from %s to %s", first, last)
	}
	for _, mark := range []string{"flip", "drained"} {
		if _, there := found[mark]; !there {
			t.Errorf("there is no mark of %s", mark)
		}
	}
}

// What an <img> shows may ask for nothing else, and a picture is sound XML.
func TestThePicturesAskForNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tide.svg", "demo.svg"} {
		data := mustRead(t, "../../docs/demo/"+name)
		elements(t, data)
		for _, bad := range []string{"<script", "href=", "url(", "@import", "<image"} {
			if strings.Contains(string(data), bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
	}
}

// elements gives the paths of those with a name, empty for what is none.
func elements(t *testing.T, svg []byte) map[string]string {
	t.Helper()
	found := map[string]string{}
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		var id, path string
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "id":
				id = a.Value
			case "d":
				path = a.Value
			}
		}
		if id != "" {
			found[id] = path
		}
	}
}
