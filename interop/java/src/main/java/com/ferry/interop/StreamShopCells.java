package com.ferry.interop;

import com.ferry.interop.idl.Basket;
import com.ferry.interop.idl.Colour;
import com.ferry.interop.idl.Item;
import com.ferry.interop.idl.Receipt;
import com.ferry.interop.idl.Shop;
import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import java.util.Arrays;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.RpcContext;

/** A service of a .proto file, by its generated messages and a stub as Dubbo's. */
final class StreamShopCells {
    private static final int CODE = 9;

    private final Shop shop;

    StreamShopCells(Shop shop) {
        this.shop = shop;
    }

    void run() {
        Consumer.cell("idl/unary", () -> StreamReceived.same(receipt(basket(), 29), shop.order(basket())));
        Consumer.cell("idl/unary, an empty message", () -> StreamReceived.same(receipt(Basket.getDefaultInstance(), 0), shop.order(Basket.getDefaultInstance())));
        Consumer.cell("idl/unary, failure with code and text", () -> failure());
        Consumer.cell("idl/unary, attachments both ways", () -> attachments());
        Consumer.cell("idl/server stream", () -> StreamReceived.<Receipt>of(out -> shop.track(basket(), out))
                .was(receipt(of(tea()), 30), receipt(of(refund()), -1)));
        Consumer.cell("idl/server stream, failure with code and text", () -> {
            Basket b = basket().toBuilder().setCard("code:" + CODE).build();
            StreamReceived.<Receipt>of(out -> shop.track(b, out)).failedWith(CODE, receipt(of(tea()), 30), receipt(of(refund()), -1));
        });
        Consumer.cell("idl/client stream", () -> {
            StreamReceived<Receipt> r = new StreamReceived<>();
            StreamReceived.send(shop.fill(r), tea(), refund());
            r.was(receipt(of(tea(), refund()), 29));
        });
        Consumer.cell("idl/client stream, no message", () -> {
            StreamReceived<Receipt> r = new StreamReceived<>();
            StreamReceived.send(shop.fill(r));
            r.was(receipt(of(), 0));
        });
        Consumer.cell("idl/client stream, failure with code and text", () -> {
            StreamReceived<Receipt> r = new StreamReceived<>();
            shop.fill(r).onNext(failing());
            r.failedWith(CODE);
        });
        Consumer.cell("idl/bidirectional stream", () -> haggle());
        Consumer.cell("idl/bidirectional stream, failure with code and text", () -> {
            StreamReceived<Receipt> r = new StreamReceived<>();
            StreamObserver<Item> to = shop.haggle(r);
            to.onNext(tea());
            StreamReceived.same(receipt(of(tea()), 30), r.next());
            to.onNext(failing());
            r.failedWith(CODE, receipt(of(tea()), 30));
        });
    }

    private static Item tea() {
        return Item.newBuilder().setName("tea 中😀").setPence(30).setDiscount(-5).setColour(Colour.GREEN).setPicture(ByteString.copyFrom(new byte[] {0, -1}))
                .setMade(Timestamp.newBuilder().setSeconds(1).setNanos(2)).addTags("x").addTags("").build();
    }

    private static Item refund() {
        return Item.newBuilder().setPence(-1).setColourValue(99).build();
    }

    private static Item failing() {
        return Item.newBuilder().setName("code:" + CODE).build();
    }

    private static Basket of(Item... items) {
        return Basket.newBuilder().addAllItems(Arrays.asList(items)).build();
    }

    private static Basket basket() {
        return of(tea(), refund()).toBuilder().putGifts("Ann", tea()).setCash(0.5).setUrgent(false).setId(-1).build();
    }

    private static Receipt receipt(Basket basket, long total) {
        return Receipt.newBuilder().setBasket(basket).setTotal(total).build();
    }

    private void failure() {
        try {
            shop.order(Basket.newBuilder().setCard("code:" + CODE).build());
        } catch (RuntimeException e) {
            StreamReceived.code(CODE, e);
            return;
        }
        throw new AssertionError("nothing failed");
    }

    private void attachments() {
        RpcContext.getClientAttachment().setAttachment("colour", "blau");
        Consumer.want("blau", shop.order(Basket.newBuilder().setCard("colour").build()).getBasket().getCard());
        Consumer.want("got blau", String.valueOf(RpcContext.getClientResponseContext().getAttachment("reply-colour")));
    }

    private void haggle() throws Exception {
        StreamReceived<Receipt> r = new StreamReceived<>();
        StreamObserver<Item> to = shop.haggle(r);
        to.onNext(tea());
        StreamReceived.same(receipt(of(tea()), 30), r.next());
        to.onNext(refund());
        to.onCompleted();
        r.was(receipt(of(tea()), 30), receipt(of(refund()), -1));
    }
}
