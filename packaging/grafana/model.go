package grafana

import "strconv"

// object is a piece of Grafana's model, whose fields are its own.
type object = map[string]any

// The grid is 24 wide.
const (
	panelWidth, panelHeight = 8, 8
	gridWidth               = 24
)

// source is the data source that the reader chooses.
var source = object{"type": "prometheus", "uid": "${datasource}"}

func dashboard() object {
	var panels []object
	y := 0
	for _, row := range Rows() {
		panels = append(panels, object{
			"id": len(panels) + 1, "type": "row", "title": row.Title, "collapsed": false, "gridPos": grid(0, y, gridWidth, 1), "panels": []object{},
		})
		y++
		for i, p := range row.Panels {
			x := i * panelWidth % gridWidth
			if i > 0 && x == 0 {
				y += panelHeight
			}
			panels = append(panels, panel(p, len(panels)+1, grid(x, y, panelWidth, panelHeight)))
		}
		y += panelHeight
	}
	return object{
		"uid": "ebbtide", "title": "ebbtide", "tags": []string{"ebbtide"}, "schemaVersion": 39, "version": 1, "editable": true,
		"timezone": "browser", "refresh": "10s", "time": object{"from": "now-1h", "to": "now"}, "graphTooltip": 1,
		"templating": object{"list": variables()}, "annotations": object{"list": []object{marks()}}, "panels": panels,
	}
}

func grid(x, y, w, h int) object { return object{"x": x, "y": y, "w": w, "h": h} }

func panel(p Panel, id int, at object) object {
	about := p.About
	if p.Quiet != "" {
		about = join(about, "Empty where "+p.Quiet+".")
	}
	return object{
		"id": id, "type": p.Kind, "title": p.Title, "description": about, "gridPos": at, "datasource": source,
		"targets": targets(p), "options": options(p), "transformations": transformations(p),
		"fieldConfig": object{"defaults": defaults(p), "overrides": []object{}},
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

func targets(p Panel) (out []object) {
	for i, t := range p.Targets {
		q := object{"refId": string(rune('A' + i)), "datasource": source, "expr": t.Expr, "legendFormat": t.Legend, "editorMode": "code", "range": true}
		if p.Kind == "table" {
			q["format"], q["instant"], q["range"] = "table", true, false
		}
		out = append(out, q)
	}
	return out
}

// defaults of a panel's fields. A stat of what must stay 0 is red at 1.
func defaults(p Panel) object {
	custom := object{}
	steps := []object{{"color": "green", "value": nil}}
	switch p.Kind {
	case "timeseries":
		custom = object{"fillOpacity": 10, "showPoints": "never", "stacking": object{"mode": "none", "group": "A"}}
		if p.Stacked {
			custom["fillOpacity"], custom["stacking"] = 60, object{"mode": "normal", "group": "A"}
		}
	case "state-timeline":
		custom = object{"fillOpacity": 70}
		steps = []object{{"color": "red", "value": nil}, {"color": "green", "value": 1}}
		if p.Title == "Generic mode" {
			steps = []object{{"color": "green", "value": nil}, {"color": "orange", "value": 1}}
		}
	case "stat":
		steps = append(steps, object{"color": "red", "value": 1})
	}
	return object{"unit": unit(p), "min": 0, "custom": custom, "thresholds": object{"mode": "absolute", "steps": steps}, "color": colour(p)}
}

func unit(p Panel) string {
	if p.Unit == "" {
		return "short"
	}
	return p.Unit
}

func colour(p Panel) object {
	if p.Kind == "timeseries" {
		return object{"mode": "palette-classic"}
	}
	return object{"mode": "thresholds"}
}

func options(p Panel) object {
	switch p.Kind {
	case "timeseries":
		return object{"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	case "stat":
		return object{"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "colorMode": "background", "graphMode": "none"}
	}
	return object{}
}

// transformations leave out of a table what Prometheus adds.
func transformations(p Panel) []object {
	if p.Kind != "table" {
		return []object{}
	}
	hidden := object{"Time": true, "__name__": true, "job": true}
	if p.Unit == "" { // the value says nothing but that the row is there
		for i := range p.Targets {
			hidden["Value"], hidden["Value #"+string(rune('A'+i))] = true, true
		}
	}
	return []object{{"id": "merge", "options": object{}}, {"id": "organize", "options": object{"excludeByName": hidden}}}
}

func variables() []object {
	list := []object{{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}}
	for _, v := range Variables() {
		query := "label_values(" + v.Metric + ", " + v.Label + ")"
		list = append(list, object{
			"name": v.Name, "label": v.Name, "type": "query", "datasource": source, "definition": query,
			"query": object{"query": query, "refId": "Variable" + strconv.Itoa(len(list))}, "refresh": 2, "sort": 1,
			"multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": []string{"All"}, "value": []string{"$__all"}},
		})
	}
	return list
}

func marks() object {
	return object{
		"name": "Flips", "datasource": source, "enable": true, "iconColor": "blue", "expr": FlipMarks, "step": "15s",
		"titleFormat": "{{service}}: generation {{generation}}, version {{version}}, is live",
	}
}
