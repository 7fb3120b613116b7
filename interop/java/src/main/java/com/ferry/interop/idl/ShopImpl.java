package com.ferry.interop.idl;

import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.RpcContext;
import org.apache.dubbo.rpc.StatusRpcException;
import org.apache.dubbo.rpc.TriRpcStatus;

/** Does what idl.proto says. */
public final class ShopImpl extends DubboShopTriple.Base {
    private static StatusRpcException failure(String word) {
        if (!word.startsWith("code:")) {
            return null;
        }
        int code = Integer.parseInt(word.substring("code:".length()));
        return new StatusRpcException(TriRpcStatus.fromCode(code).withDescription("the text of " + code));
    }

    static Receipt receipt(Basket basket) {
        long total = basket.getItemsList().stream().mapToLong(Item::getPence).sum();
        return Receipt.newBuilder().setBasket(basket).setTotal(total).build();
    }

    static Receipt receipt(Item item) {
        return receipt(Basket.newBuilder().addItems(item).build());
    }

    @Override
    public Receipt order(Basket basket) {
        StatusRpcException failure = failure(basket.getCard());
        if (failure != null) {
            throw failure;
        }
        if (basket.getCard().equals("colour")) {
            String colour = RpcContext.getServerAttachment().getAttachment("colour");
            RpcContext.getServerContext().setAttachment("reply-colour", "got " + colour);
            return receipt(basket.toBuilder().setCard(String.valueOf(colour)).build());
        }
        return receipt(basket);
    }

    @Override
    public void track(Basket basket, StreamObserver<Receipt> out) {
        basket.getItemsList().forEach(item -> out.onNext(receipt(item)));
        StatusRpcException failure = failure(basket.getCard());
        if (failure != null) {
            out.onError(failure);
            return;
        }
        out.onCompleted();
    }

    @Override
    public StreamObserver<Item> fill(StreamObserver<Receipt> out) {
        Basket.Builder all = Basket.newBuilder();
        return new Items(out) {
            @Override
            void add(Item item) {
                all.addItems(item);
            }

            @Override
            public void onCompleted() {
                out.onNext(receipt(all.build()));
                out.onCompleted();
            }
        };
    }

    @Override
    public StreamObserver<Item> haggle(StreamObserver<Receipt> out) {
        return new Items(out) {
            @Override
            void add(Item item) {
                out.onNext(receipt(item));
            }

            @Override
            public void onCompleted() {
                out.onCompleted();
            }
        };
    }

    /** Takes items until one fails. */
    private abstract static class Items implements StreamObserver<Item> {
        private final StreamObserver<Receipt> out;

        Items(StreamObserver<Receipt> out) {
            this.out = out;
        }

        abstract void add(Item item);

        @Override
        public void onNext(Item item) {
            StatusRpcException failure = failure(item.getName());
            if (failure != null) {
                out.onError(failure);
                return;
            }
            add(item);
        }

        @Override
        public void onError(Throwable t) {
            // nothing is left to do
        }
    }
}
