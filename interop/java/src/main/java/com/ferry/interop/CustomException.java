package com.ferry.interop;

/** A runtime exception that Calls declares, so that Dubbo 3 lets its class through. */
public class CustomException extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private String detail;

    public CustomException() {
    }

    public CustomException(String message, String detail) {
        super(message);
        this.detail = detail;
    }

    public String getDetail() {
        return detail;
    }

    public void setDetail(String detail) {
        this.detail = detail;
    }
}
