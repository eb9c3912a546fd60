// Package datapath tests the data plane packet by packet, by BPF_PROG_TEST_RUN: tables of packets in and out, the life
// of a flow, random worlds in which test/model has to agree, two CPUs in the same lines, and a fuzz target.
package datapath
