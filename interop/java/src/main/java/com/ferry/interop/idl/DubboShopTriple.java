package com.ferry.interop.idl;

import com.google.protobuf.Message;
import java.util.HashMap;
import java.util.Map;
import org.apache.dubbo.common.URL;
import org.apache.dubbo.common.stream.StreamObserver;
import org.apache.dubbo.rpc.Invoker;
import org.apache.dubbo.rpc.PathResolver;
import org.apache.dubbo.rpc.ServerService;
import org.apache.dubbo.rpc.model.MethodDescriptor.RpcType;
import org.apache.dubbo.rpc.model.ServiceDescriptor;
import org.apache.dubbo.rpc.model.StubMethodDescriptor;
import org.apache.dubbo.rpc.model.StubServiceDescriptor;
import org.apache.dubbo.rpc.model.UnPack;
import org.apache.dubbo.rpc.stub.BiStreamMethodHandler;
import org.apache.dubbo.rpc.stub.ServerStreamMethodHandler;
import org.apache.dubbo.rpc.stub.StubInvocationUtil;
import org.apache.dubbo.rpc.stub.StubInvoker;
import org.apache.dubbo.rpc.stub.StubMethodHandler;
import org.apache.dubbo.rpc.stub.StubSuppliers;
import org.apache.dubbo.rpc.stub.UnaryStubMethodHandler;

/** Stub and skeleton of Shop. Dubbo looks for a class of this name. */
public final class DubboShopTriple {
    private static final StubServiceDescriptor SERVICE = new StubServiceDescriptor(Shop.SERVICE_NAME, Shop.class);
    private static final StubMethodDescriptor ORDER = method("Order", Basket.class, RpcType.UNARY, Basket::parseFrom);
    private static final StubMethodDescriptor TRACK = method("Track", Basket.class, RpcType.SERVER_STREAM, Basket::parseFrom);
    private static final StubMethodDescriptor FILL = method("Fill", Item.class, RpcType.CLIENT_STREAM, Item::parseFrom);
    private static final StubMethodDescriptor HAGGLE = method("Haggle", Item.class, RpcType.BI_STREAM, Item::parseFrom);

    static {
        StubSuppliers.addSupplier(Shop.SERVICE_NAME, Stub::new);
        StubSuppliers.addDescriptor(Shop.SERVICE_NAME, SERVICE);
    }

    private DubboShopTriple() {
    }

    private static StubMethodDescriptor method(String name, Class<?> request, RpcType type, UnPack parse) {
        StubMethodDescriptor m = new StubMethodDescriptor(name, request, Receipt.class, type,
                o -> ((Message) o).toByteArray(), o -> ((Message) o).toByteArray(), parse, Receipt::parseFrom);
        SERVICE.addMethod(m);
        return m;
    }

    /** What a consumer calls. */
    private static final class Stub implements Shop {
        private final Invoker<?> invoker;

        Stub(Invoker<?> invoker) {
            this.invoker = invoker;
        }

        @Override
        public Receipt order(Basket basket) {
            return StubInvocationUtil.unaryCall(invoker, ORDER, basket);
        }

        @Override
        public void track(Basket basket, StreamObserver<Receipt> out) {
            StubInvocationUtil.serverStreamCall(invoker, TRACK, basket, out);
        }

        @Override
        public StreamObserver<Item> fill(StreamObserver<Receipt> out) {
            return StubInvocationUtil.biOrClientStreamCall(invoker, FILL, out);
        }

        @Override
        public StreamObserver<Item> haggle(StreamObserver<Receipt> out) {
            return StubInvocationUtil.biOrClientStreamCall(invoker, HAGGLE, out);
        }
    }

    /** What a provider's implementation extends. */
    abstract static class Base implements Shop, ServerService<Shop> {
        @Override
        public Invoker<Shop> getInvoker(URL url) {
            PathResolver paths = url.getOrDefaultFrameworkModel().getExtensionLoader(PathResolver.class).getDefaultExtension();
            Map<String, StubMethodHandler<?, ?>> handlers = new HashMap<>();
            handlers.put("Order", new UnaryStubMethodHandler<Basket, Receipt>((basket, out) -> {
                out.onNext(order(basket));
                out.onCompleted();
            }));
            handlers.put("Track", new ServerStreamMethodHandler<Basket, Receipt>(this::track));
            handlers.put("Fill", new BiStreamMethodHandler<Item, Receipt>(this::fill));
            handlers.put("Haggle", new BiStreamMethodHandler<Item, Receipt>(this::haggle));
            handlers.keySet().forEach(name -> paths.addNativeStub("/" + Shop.SERVICE_NAME + "/" + name));
            return new StubInvoker<>(this, url, Shop.class, handlers);
        }

        @Override
        public ServiceDescriptor getServiceDescriptor() {
            return SERVICE;
        }
    }
}
