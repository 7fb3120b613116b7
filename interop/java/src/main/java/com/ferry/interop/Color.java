package com.ferry.interop;

/** An enum. */
public enum Color {
    RED, GREEN, BLUE
}
