package com.ferry.interop;

import java.io.Serializable;

/** Two references that may lead to one object. */
public class Twins implements Serializable {
    private static final long serialVersionUID = 1L;
    public Person left;
    public Person right;
}
