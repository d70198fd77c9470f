"""Cycles without hardware: timing tables applied to the instructions that an emulator executed."""
