// Package recording records a program on a terminal, as asciinema does, and makes pictures of what was recorded: the screen
// as it went, and the tide that the demo showed. The files in docs/demo are a real run of `make demo`.
package recording
