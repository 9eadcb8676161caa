"""The nouns of the App API as attributes; each is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.app_api.activities import Activities
    from core.app_api.asset_folders import AssetFolders
    from core.app_api.assets import Assets
    from core.app_api.broadcast_actions import BroadcastActions
    from core.app_api.broadcasts import Broadcasts
    from core.app_api.campaign_actions import CampaignActions
    from core.app_api.campaigns import Campaigns
    from core.app_api.collections import Collections
    from core.app_api.customers import Customers
    from core.app_api.data_index import DataIndex
    from core.app_api.design_studio_components import DesignStudioComponents
    from core.app_api.design_studio_emails import DesignStudioEmails
    from core.app_api.design_studio_folders import DesignStudioFolders
    from core.app_api.design_studio_languages import DesignStudioLanguages
    from core.app_api.design_studio_sms import DesignStudioSms
    from core.app_api.design_studio_versions import DesignStudioVersions
    from core.app_api.esp_suppression import EspSuppression
    from core.app_api.exports import Exports
    from core.app_api.imports import Imports
    from core.app_api.inbox_previews import InboxPreviews
    from core.app_api.info import Info
    from core.app_api.live_notifications import LiveNotifications
    from core.app_api.messages import Messages
    from core.app_api.newsletter_contents import NewsletterContents
    from core.app_api.newsletter_languages import NewsletterLanguages
    from core.app_api.newsletter_test_groups import NewsletterTestGroups
    from core.app_api.newsletters import Newsletters
    from core.app_api.objects import Objects
    from core.app_api.optouts import Optouts
    from core.app_api.reporting_webhooks import ReportingWebhooks
    from core.app_api.segments import Segments
    from core.app_api.send import Send
    from core.app_api.sender_identities import SenderIdentities
    from core.app_api.snippets import Snippets
    from core.app_api.subscription_center import SubscriptionCenter
    from core.app_api.transactional import Transactional
    from core.app_api.workspaces import Workspaces
    from core.http.client import HttpClient


class Nouns:
    """One property a noun, in alphabetical order."""

    _http: HttpClient

    # Made anew each time: kept, they would hold the client in a reference cycle.
    @property
    def activities(self) -> Activities:
        """What happened to people, across the workspace."""
        from core.app_api.activities import Activities

        return Activities(self._http)

    @property
    def asset_folders(self) -> AssetFolders:
        """Folders of assets."""
        from core.app_api.asset_folders import AssetFolders

        return AssetFolders(self._http)

    @property
    def assets(self) -> Assets:
        """Images and PDF files that messages show."""
        from core.app_api.assets import Assets

        return Assets(self._http)

    @property
    def broadcast_actions(self) -> BroadcastActions:
        """The messages that a broadcast sends."""
        from core.app_api.broadcast_actions import BroadcastActions

        return BroadcastActions(self._http)

    @property
    def broadcasts(self) -> Broadcasts:
        """Broadcasts that an API call triggers."""
        from core.app_api.broadcasts import Broadcasts

        return Broadcasts(self._http)

    @property
    def campaign_actions(self) -> CampaignActions:
        """The steps of a campaign."""
        from core.app_api.campaign_actions import CampaignActions

        return CampaignActions(self._http)

    @property
    def campaigns(self) -> Campaigns:
        """Campaigns: what they are and what came of them."""
        from core.app_api.campaigns import Campaigns

        return Campaigns(self._http)

    @property
    def collections(self) -> Collections:
        """Tables that messages look words up in."""
        from core.app_api.collections import Collections

        return Collections(self._http)

    @property
    def customers(self) -> Customers:
        """The people of the workspace, read only."""
        from core.app_api.customers import Customers

        return Customers(self._http)

    @property
    def data_index(self) -> DataIndex:
        """What attributes and events mean."""
        from core.app_api.data_index import DataIndex

        return DataIndex(self._http)

    @property
    def design_studio_components(self) -> DesignStudioComponents:
        """Blocks that the emails of Design Studio share."""
        from core.app_api.design_studio_components import DesignStudioComponents

        return DesignStudioComponents(self._http)

    @property
    def design_studio_emails(self) -> DesignStudioEmails:
        """Emails of Design Studio: drafts until they are published."""
        from core.app_api.design_studio_emails import DesignStudioEmails

        return DesignStudioEmails(self._http)

    @property
    def design_studio_folders(self) -> DesignStudioFolders:
        """Folders of Design Studio."""
        from core.app_api.design_studio_folders import DesignStudioFolders

        return DesignStudioFolders(self._http)

    @property
    def design_studio_languages(self) -> DesignStudioLanguages:
        """Language versions of a Design Studio email."""
        from core.app_api.design_studio_languages import DesignStudioLanguages

        return DesignStudioLanguages(self._http)

    @property
    def design_studio_sms(self) -> DesignStudioSms:
        """SMS messages of Design Studio."""
        from core.app_api.design_studio_sms import DesignStudioSms

        return DesignStudioSms(self._http)

    @property
    def design_studio_versions(self) -> DesignStudioVersions:
        """Saved versions of a Design Studio email."""
        from core.app_api.design_studio_versions import DesignStudioVersions

        return DesignStudioVersions(self._http)

    @property
    def esp_suppression(self) -> EspSuppression:
        """Addresses that the mail service refuses to send to."""
        from core.app_api.esp_suppression import EspSuppression

        return EspSuppression(self._http)

    @property
    def exports(self) -> Exports:
        """Exports of people and of deliveries, as files."""
        from core.app_api.exports import Exports

        return Exports(self._http)

    @property
    def imports(self) -> Imports:
        """Imports of people, events, objects and relationships from CSV files."""
        from core.app_api.imports import Imports

        return Imports(self._http)

    @property
    def inbox_previews(self) -> InboxPreviews:
        """Screenshots of emails in real mail clients."""
        from core.app_api.inbox_previews import InboxPreviews

        return InboxPreviews(self._http)

    @property
    def info(self) -> Info:
        """What the vendor says of itself, such as the addresses it calls from."""
        from core.app_api.info import Info

        return Info(self._http)

    @property
    def live_notifications(self) -> LiveNotifications:
        """Live Activities of iOS, live updates of Android."""
        from core.app_api.live_notifications import LiveNotifications

        return LiveNotifications(self._http)

    @property
    def messages(self) -> Messages:
        """Deliveries of every campaign, newsletter and channel."""
        from core.app_api.messages import Messages

        return Messages(self._http)

    @property
    def newsletter_contents(self) -> NewsletterContents:
        """What a newsletter says, by language and by test group."""
        from core.app_api.newsletter_contents import NewsletterContents

        return NewsletterContents(self._http)

    @property
    def newsletter_languages(self) -> NewsletterLanguages:
        """The language versions of a newsletter."""
        from core.app_api.newsletter_languages import NewsletterLanguages

        return NewsletterLanguages(self._http)

    @property
    def newsletter_test_groups(self) -> NewsletterTestGroups:
        """The A/B test groups of a newsletter."""
        from core.app_api.newsletter_test_groups import NewsletterTestGroups

        return NewsletterTestGroups(self._http)

    @property
    def newsletters(self) -> Newsletters:
        """Newsletters: messages sent once, to many."""
        from core.app_api.newsletters import Newsletters

        return Newsletters(self._http)

    @property
    def objects(self) -> Objects:
        """Objects such as companies or accounts, and who belongs to them."""
        from core.app_api.objects import Objects

        return Objects(self._http)

    @property
    def optouts(self) -> Optouts:
        """Who wants nothing more from a sender of SMS or WhatsApp messages."""
        from core.app_api.optouts import Optouts

        return Optouts(self._http)

    @property
    def reporting_webhooks(self) -> ReportingWebhooks:
        """Where Customer.io reports what becomes of its messages."""
        from core.app_api.reporting_webhooks import ReportingWebhooks

        return ReportingWebhooks(self._http)

    @property
    def segments(self) -> Segments:
        """Groups of people, kept by rules or by hand."""
        from core.app_api.segments import Segments

        return Segments(self._http)

    @property
    def send(self) -> Send:
        """Transactional messages to one person each."""
        from core.app_api.send import Send

        return Send(self._http)

    @property
    def sender_identities(self) -> SenderIdentities:
        """The names and addresses that e-mails come from."""
        from core.app_api.sender_identities import SenderIdentities

        return SenderIdentities(self._http)

    @property
    def snippets(self) -> Snippets:
        """Pieces of content that messages share."""
        from core.app_api.snippets import Snippets

        return Snippets(self._http)

    @property
    def subscription_center(self) -> SubscriptionCenter:
        """What people can subscribe to, and where they choose."""
        from core.app_api.subscription_center import SubscriptionCenter

        return SubscriptionCenter(self._http)

    @property
    def transactional(self) -> Transactional:
        """Transactional messages: their contents and what came of them."""
        from core.app_api.transactional import Transactional

        return Transactional(self._http)

    @property
    def workspaces(self) -> Workspaces:
        """The workspaces of the account."""
        from core.app_api.workspaces import Workspaces

        return Workspaces(self._http)
