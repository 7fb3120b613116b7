package com.ferry.interop.idl;

import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.model.DubboStub;

/** The service of idl.proto, in the form that Dubbo's generator gives it. */
public interface Shop extends DubboStub {
    String SERVICE_NAME = "com.ferry.interop.idl.Shop";

    Receipt order(Basket basket);

    void track(Basket basket, StreamObserver<Receipt> out);

    StreamObserver<Item> fill(StreamObserver<Receipt> out);

    StreamObserver<Item> haggle(StreamObserver<Receipt> out);
}
