package com.ferry.interop;

/** A runtime exception of the service's own jar, which nothing declares. */
public class UndeclaredException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public UndeclaredException() {
    }

    public UndeclaredException(String message) {
        super(message);
    }
}
