// Package web drives the web page in a real browser, against the real daemon with real players. It needs npm and Chromium:
// `make web-tools` installs them from Debian's packages.
package web
