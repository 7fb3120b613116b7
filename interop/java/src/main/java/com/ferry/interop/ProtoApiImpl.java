package com.ferry.interop;

import com.google.protobuf.Int32Value;
import com.google.protobuf.StringValue;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.StatusRpcException;
import org.apache.dubbo.rpc.TriRpcStatus;

/** Does what ProtoApi says. */
public final class ProtoApiImpl implements ProtoApi {
    @Override
    public StringValue greet(StringValue name) {
        switch (name.getValue()) {
            case "fail":
                throw new StatusRpcException(TriRpcStatus.NOT_FOUND.withDescription("nobody is called fail"));
            case "colour":
                String colour = RpcContext.getServerAttachment().getAttachment("colour");
                RpcContext.getServerContext().setAttachment("reply-colour", "got " + colour);
                return StringValue.of(String.valueOf(colour));
            default:
                if (name.getValue().startsWith("code:")) {
                    throw status(name);
                }
                return StringValue.of("hello " + name.getValue());
        }
    }

    private static StatusRpcException status(StringValue word) {
        return status(Integer.parseInt(word.getValue().substring("code:".length())));
    }

    private static StatusRpcException status(int code) {
        return new StatusRpcException(TriRpcStatus.fromCode(code).withDescription("the text of " + code));
    }

    @Override
    public void count(Int32Value n, StreamObserver<StringValue> out) {
        if (n.getValue() < 0) {
            out.onNext(StringValue.of("n0"));
            out.onError(status(-n.getValue()));
            return;
        }
        for (int i = 0; i < n.getValue(); i++) {
            out.onNext(StringValue.of("n" + i));
        }
        out.onCompleted();
    }

    @Override
    public StreamObserver<StringValue> talk(StreamObserver<StringValue> out) {
        return new StreamObserver<StringValue>() {
            @Override
            public void onNext(StringValue word) {
                if (word.getValue().startsWith("code:")) {
                    out.onError(status(word));
                    return;
                }
                out.onNext(word);
            }

            @Override
            public void onError(Throwable t) {
                // nothing is left to do
            }

            @Override
            public void onCompleted() {
                out.onCompleted();
            }
        };
    }
}
