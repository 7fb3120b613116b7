package com.ferry.interop;

import com.google.protobuf.Int32Value;
import com.google.protobuf.StringValue;
import org.apache.dubbo.common.stream.StreamObserver;

/** What com.ferry.interop.ProtoApi of fleet/proto.proto is in Java: messages of protobuf, which travel without a wrapper. */
public interface ProtoApi {
    /** A greeting; "fail" and "code:n" fail, "colour" answers with the attachment colour and sends it back as reply-colour. */
    StringValue greet(StringValue name);

    /** Counts up to n; below zero it fails with the code -n behind one message. */
    void count(Int32Value n, StreamObserver<StringValue> out);

    /** Sends back what comes; "code:n" fails. */
    StreamObserver<StringValue> talk(StreamObserver<StringValue> out);
}
