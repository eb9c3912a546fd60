package metrics

import (
	"strconv"
	"strings"
)

// page is a scrape in Prometheus' text format. It is written here because the
// client library, which builds, sorts and checks a value a series, takes ten
// times as long for a thousand services. Tests hold the page to that library's
// parser and rules.
type page struct {
	buf  []byte
	last string // metric that has its head
}

// add writes one series, behind the metric's head when it is the first.
func (p *page) add(d desc, labels string, value float64) {
	p.begin(d, labels)
	p.buf = append(strconv.AppendFloat(p.buf, value, 'g', -1, 64), '\n')
}

// count is add for what is counted.
func (p *page) count(d desc, labels string, value uint64) {
	p.begin(d, labels)
	p.buf = append(strconv.AppendUint(p.buf, value, 10), '\n')
}

func (p *page) begin(d desc, labels string) {
	if p.last != d.name {
		p.last = d.name
		p.buf = append(p.buf, "# HELP ebbtide_"+d.name+" "+d.help+"\n# TYPE ebbtide_"+d.name+" "+d.kind+"\n"...)
	}
	p.buf = append(append(p.buf, "ebbtide_"...), d.name...)
	if labels != "" {
		p.buf = append(append(append(p.buf, '{'), labels...), '}')
	}
	p.buf = append(p.buf, ' ')
}

// escape is for the values of labels.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// label is one label and its value.
func label(name, value string) string { return name + `="` + escape.Replace(value) + `"` }

// joined labels keep their order.
func joined(labels ...string) string { return strings.Join(labels, ",") }
