// Package web serves the tide as a page, on a loopback address: the built files of ui, which are embedded, and those verbs
// of the API that the page has.
//
// A loopback port is open to every user of the host and to every page in his browser. So each request but those for the
// page's own files has to bring the token, which only who may read its file knows; it has to be meant for this host by a
// loopback name, so that no foreign name that was pointed here gets anything; and what a browser sends it must send for the
// page itself. No other page may frame it, and it loads nothing from elsewhere.
package web
