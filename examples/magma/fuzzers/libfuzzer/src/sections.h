/*
 * Included ahead of every source file of a target: gathers its variables in
 * sections of their own, which the driver can tell from libFuzzer's.
 */
#pragma clang section bss = "target_bss" data = "target_data"
