package release

// noticeDue says whether those who are left are to be told now, and which of the plan's moments have come. When the
// deadline has come and nobody was told yet, that is due: nobody is moved without it.
func (v view) noticeDue() (came []int, due bool) {
	n := v.r.Plan.Notice
	if n == nil || v.f.From.Left == 0 {
		return nil, false
	}
	for i, at := range n.At {
		if !in(i, v.r.Fired...) && v.cameTo(at) {
			came = append(came, i)
		}
	}
	switch {
	case len(came) > 0:
		return came, true
	case v.r.Notices == 0 && !v.r.Deadline.IsZero() && !v.now.Before(v.r.Deadline):
		return nil, true
	}
	begun := v.r.Notices > 0 || len(n.At) == 0
	last := v.r.Noticed
	if last.IsZero() {
		last = v.r.Since
	}
	return nil, begun && n.Every > 0 && v.now.Sub(last) >= n.Every
}

func (v view) cameTo(at NoticeAt) bool {
	switch {
	case v.f.From.Uncounted && (at.Sessions > 0 || at.Percent > 0):
		return false // it would be told of too few
	case at.Sessions > 0:
		return v.f.From.Left <= at.Sessions
	case at.Percent > 0:
		return v.r.AtFlip > 0 && v.f.From.Left*100 <= v.r.AtFlip*uint64(100-at.Percent)
	}
	return !v.r.Deadline.IsZero() && !v.now.Before(v.r.Deadline.Add(-at.Before))
}
