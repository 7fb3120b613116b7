package com.ferry.interop;

import java.io.Serializable;

/** A float field between others, which a reader must leave alone. */
public class Floating implements Serializable {
    private static final long serialVersionUID = 1L;
    public short before;
    public float f;
    public short after;
}
