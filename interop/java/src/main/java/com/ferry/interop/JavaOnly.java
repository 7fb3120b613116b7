package com.ferry.interop;

import java.io.Serializable;

/** A class that no Go program knows. */
public class JavaOnly implements Serializable {
    private static final long serialVersionUID = 1L;
    public String word;
    public long number;
}
