package com.ferry.interop;

/** An exception that Calls declares. */
public class CheckedException extends Exception {
    private static final long serialVersionUID = 1L;
    private int code;

    public CheckedException() {
    }

    public CheckedException(String message, int code) {
        super(message);
        this.code = code;
    }

    public int getCode() {
        return code;
    }

    public void setCode(int code) {
        this.code = code;
    }
}
