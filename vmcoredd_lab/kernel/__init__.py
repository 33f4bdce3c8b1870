"""The crashed kernel: where its virtual addresses are in physical memory."""
