"""E-commerce events: browsing, cart, checkout, orders, coupons, wishlists, sharing, reviews.

Source: https://docs.customer.io/integrations/data-in/semantic-events/ecommerce/
"""

from __future__ import annotations

from typing import TypedDict

from core.pipelines.events.event import Event, Family


class ProductBase(TypedDict, total=False):
    """The fields that all products have."""

    product_id: str
    sku: str
    category: str
    name: str
    brand: str
    variant: str
    price: float
    url: str
    image_url: str


class Product(ProductBase, total=False):
    """A product in a list, a cart or an order."""

    quantity: int
    coupon: str
    position: float


class Search(TypedDict, total=False):
    """A search."""

    query: str


class ProductList(TypedDict, total=False):
    """A list or category of products."""

    list_id: str
    category: str
    products: list[Product]


class Choice(TypedDict, total=False):
    """A filter or a sort order of a list: `{"type": "price", "value": "desc"}`."""

    type: str
    value: str


class FilteredProductList(ProductList, total=False):
    """A list as the person filtered and sorted it."""

    filters: list[Choice]
    sorts: list[Choice]


class SeenProduct(Product, total=False):
    """A product that was viewed or clicked."""

    currency: str
    value: float


class CartProduct(Product, total=False):
    """A product that was added to or removed from a cart."""

    cart_id: str


class Cart(TypedDict, total=False):
    """A cart and its products."""

    cart_id: str
    products: list[Product]


class Order(TypedDict, total=False):
    """An order and its products."""

    order_id: str
    affiliation: str
    revenue: float
    shipping: float
    tax: float
    discount: float
    coupon: str
    currency: str
    products: list[Product]


class Checkout(Order, total=False):
    """An order at the start of the checkout."""

    value: float


class TotalledOrder(Order, total=False):
    """An order with its total."""

    total: float


class SettledOrder(TotalledOrder, total=False):
    """An order that was completed or refunded."""

    subtotal: float
    checkout_id: str


class CheckoutStep(TypedDict, total=False):
    """A step of a checkout, by its number."""

    checkout_id: str
    step: int
    shipping_method: str
    payment_method: str


class Payment(CheckoutStep, total=False):
    """The payment step of a checkout."""

    order_id: str


class Promotion(TypedDict, total=False):
    """A promotion on a page."""

    promotion_id: str
    creative: str
    name: str
    position: str


class Coupon(TypedDict, total=False):
    """A coupon of an order or a cart."""

    order_id: str
    cart_id: str
    coupon_id: str


class NamedCoupon(Coupon, total=False):
    """A coupon with its name."""

    coupon_name: str


class GrantedCoupon(NamedCoupon, total=False):
    """A coupon with its discount."""

    discount: float


class DeniedCoupon(NamedCoupon, total=False):
    """A coupon with the reason why it was denied."""

    reason: str


class WishlistProduct(Product, total=False):
    """A product on a wishlist."""

    wishlist_id: str
    wishlist_name: str


class WishlistCartProduct(WishlistProduct, total=False):
    """A product that was moved from a wishlist to a cart."""

    cart_id: str


class Share(TypedDict, total=False):
    """The channel, the message and the recipient of a share."""

    share_via: str
    share_message: str
    recipient: str


class SharedProduct(ProductBase, Share, total=False):
    """A product that was shared."""


class ProductReference(TypedDict, total=False):
    """A product by its id only."""

    product_id: str


class SharedCart(Share, total=False):
    """A cart that was shared."""

    cart_id: str
    products: list[ProductReference]


class Review(TypedDict, total=False):
    """A review of a product."""

    product_id: str
    review_id: str
    review_body: str
    rating: int


class Ecommerce(Family):
    """E-commerce events."""

    __slots__ = ()

    products_searched = Event("Products Searched", Search)
    product_list_viewed = Event("Product List Viewed", ProductList)
    product_list_filtered = Event("Product List Filtered", FilteredProductList)
    product_clicked = Event("Product Clicked", SeenProduct)
    product_viewed = Event("Product Viewed", SeenProduct)
    product_added = Event("Product Added", CartProduct)
    product_removed = Event("Product Removed", CartProduct)
    cart_viewed = Event("Cart Viewed", Cart)
    checkout_started = Event("Checkout Started", Checkout)
    checkout_step_viewed = Event("Checkout Step Viewed", CheckoutStep)
    checkout_step_completed = Event("Checkout Step Completed", CheckoutStep)
    payment_info_entered = Event("Payment Info Entered", Payment)
    order_completed = Event("Order Completed", SettledOrder)
    order_updated = Event("Order Updated", Order)
    order_refunded = Event("Order Refunded", SettledOrder)
    order_cancelled = Event("Order Cancelled", TotalledOrder)
    promotion_viewed = Event("Promotion Viewed", Promotion)
    promotion_clicked = Event("Promotion Clicked", Promotion)
    coupon_entered = Event("Coupon Entered", Coupon)
    coupon_applied = Event("Coupon Applied", GrantedCoupon)
    coupon_denied = Event("Coupon Denied", DeniedCoupon)
    coupon_removed = Event("Coupon Removed", GrantedCoupon)
    product_added_to_wishlist = Event("Product Added to Wishlist", WishlistProduct)
    product_removed_from_wishlist = Event("Product Removed from Wishlist", WishlistProduct)
    wishlist_product_added_to_cart = Event("Wishlist Product Added to Cart", WishlistCartProduct)
    product_shared = Event("Product Shared", SharedProduct)
    cart_shared = Event("Cart Shared", SharedCart)
    product_reviewed = Event("Product Reviewed", Review)
