package com.ferry.interop;

import java.io.Serializable;

/** A class whose Go counterpart has grown differently: javaOnly is not known there, and goOnly not here. */
public class Evolving implements Serializable {
    private static final long serialVersionUID = 1L;
    public String name;
    public JavaOnly javaOnly;
    public int size;
}
