/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tcpsndbuf where nothing can make senders wait: counted, not refused.
 */
#include "tcpsent.h"

char LICENSE[] SEC("license") = "GPL";
