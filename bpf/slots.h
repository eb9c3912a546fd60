//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
#pragma once

enum { SLOTS = 4 }; /* in a line of a flow table */
